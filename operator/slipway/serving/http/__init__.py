"""HTTP/1.1 on the event loop: a thin layer over llhttp's parser (httptools) that puts limits on all that a client does.

`exchange` is one request and its answer, `connection` the bytes on a socket, `listener` the sockets, their time limits and
their end. It knows no models. Why not a server from a library: docs/adr/0017-own-http-layer.md.
"""
