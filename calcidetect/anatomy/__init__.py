"""What a film shows of the body: region, bone, lung, soft tissue, and where on the patient a place is."""
