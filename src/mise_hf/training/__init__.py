"""Training of the aligner, the generator and the SER head, on accelerate.

May import features, objectives and models; nothing here is published but what `save_pretrained` writes. Critics live
here.
"""
