"""The one exception that means: the user's input is wrong."""


class UserError(ValueError):
    """A wrong input: its message is one line saying what, what was expected and what to do.

    The command line prints it as `edgernn: <message>` on stderr and exits 2. Anything else that is
    raised is a defect of edgernn and keeps its traceback.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))
