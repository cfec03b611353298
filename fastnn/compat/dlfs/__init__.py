"""Deep Learning from Scratch (O'Reilly Japan), volume 1: the modules of its package `common`."""
