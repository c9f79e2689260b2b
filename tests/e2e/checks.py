"""The list of checks: each a sentence and a function of the lab."""

CHECKS = []


def check(sentence):
    """Adds a function to the list, under the sentence that it checks."""

    def add(function):
        CHECKS.append((sentence, function))
        return function

    return add
