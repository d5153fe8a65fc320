def ask_linux(folder):
    return []
