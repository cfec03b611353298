"""Deep Learning from Scratch (O'Reilly Japan), volume 2: the modules of its package `common`."""
