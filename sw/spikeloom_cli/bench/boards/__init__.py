"""`make boards`: a demo bitstream for every board, and the page that tells what each took."""
