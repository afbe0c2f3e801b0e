"""One file a verb of ``noisebench data``: arguments in, one call, text out.

A file defines ``command``, whose docstring is the verb's help; the file's name is the verb's. Nothing heavy is imported
before the verb runs. A file that begins with an underscore is none.
"""
