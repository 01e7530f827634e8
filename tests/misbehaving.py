"""Functions that do to a worker process what a bad film may do; importable by it, and quickly."""

import os
import time


def square(number):
    return number * number


def die_of_3(number):
    if number == 3:
        os._exit(9)
    return number * number


def never_end_at_3(number):
    while number == 3:
        time.sleep(1)
    return number * number


def complain(number):
    raise ValueError(f"no {number}")


def chatter(number):
    os.write(1, b"a library that prints")
    return number


def take_memory(size):
    return len(b"x" * size)


def process_of(_):
    time.sleep(0.05)
    return os.getpid()


def threads_of(_):
    return os.environ["OMP_NUM_THREADS"], os.environ["OPENCV_FOR_THREADS_NUM"]
