"""One file a format that ``noisebench data import`` reads; the file's name is the format's.

A file defines ``recognises``, which tells a source by its look, and ``list_images``, which finds the images of one or
several sources without reading them. A file that begins with an underscore is none.
"""
