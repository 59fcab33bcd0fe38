def pair(size):
    """Height and width of a size, None and None for the file's own."""
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    for n in (height, width):
        if n is not None and (int(n) != n or n < 1):
            raise ValueError(
                "`size` must be a positive number of pixels, or a pair "
                f"`(height, width)`. Received: size={size}"
            )
    return height, width


def check_times(start, **positive):
    if start < 0:
        raise ValueError(f"`start` must not be negative. Received: {start}")
    for name, value in positive.items():
        if value is not None and not value > 0:
            raise ValueError(
                f"`{name}` must be positive or None. Received: {name}={value}"
            )
