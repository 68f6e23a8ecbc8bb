"""A build as one self-contained page: what is known of it, and what is missing with the command that would fill it in.

`facts` says what there is to know, `build_facts`, `results` and `measured` find it out, `recording` picks what is drawn
of chosen samples, `charts` lays figures out, `figures` makes those of the page, `page` renders it.
"""
