"""JPEG-DL Explorer: a trainable JPEG layer in front of a classifier, trained, measured and explained in pairs.

The image contract, true at every network's boundary: float32, NCHW, RGB, 1.0 = white in; logits out. The scale
0..255 exists inside `jpegdl.codec` alone, mean and deviation inside `jpegdl.pairs.classifier.Classifier` alone.
"""
