"""The JSON the world sees: typed shapes and codecs, shared by the server and by clients.

Unknown fields are ignored everywhere, so that either side may be newer than the other.
"""
