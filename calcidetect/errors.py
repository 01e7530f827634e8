"""What can go wrong, in one tree.

CalcidetectError
    ReadError            a file is not a film that can be read
        UnreadableFile       damaged, empty, or of no known format
        UnsupportedFilm      readable, but nothing this program can scan
    ConfigError          a setting is unknown, of the wrong type or out of bounds
    FieldError           no exposed field, or nothing in it to learn soft tissue from
    OutputError          a result can't be written
        NotForDicom          of this film no such DICOM result can be made
    PacsError            a PACS can't be reached, refuses, or answers with nonsense
    EvaluationError      results can't be compared with what is known of the films
"""


class CalcidetectError(Exception):
    """Base of every error this package raises on purpose.

    The message is one sentence or two: what is wrong, with which file, what to do.
    """


class ReadError(CalcidetectError):
    """A file is not a film that can be read."""


class UnreadableFile(ReadError):
    """The file is damaged, empty, or of no known format."""


class UnsupportedFilm(ReadError):
    """The file is readable, but is nothing that this program can scan."""


class ConfigError(CalcidetectError):
    """A setting is unknown, of the wrong type or out of bounds."""


class FieldError(CalcidetectError):
    """The film shows no exposed field, or nothing in it to learn soft tissue from."""


class OutputError(CalcidetectError):
    """A result can't be written."""


class NotForDicom(OutputError):
    """Of this film no such DICOM result can be made; others can."""


class PacsError(CalcidetectError):
    """A PACS can't be reached, refuses what it is asked, or answers with nonsense."""


class EvaluationError(CalcidetectError):
    """Results can't be compared with what is known of the films."""
