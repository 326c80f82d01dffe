"""placeholder being written"""


def connect(url):
    raise NotImplementedError
