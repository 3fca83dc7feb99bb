"""x"""

CLIENTS = []
