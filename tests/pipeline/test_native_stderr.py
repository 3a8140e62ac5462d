"""What is written past Python is held back, and let out where something fails."""

import os

import pytest

from pipeline.native_stderr import withheld_stderr


def test_nothing_is_shown_where_all_goes_well(capfd):
    with withheld_stderr():
        os.write(2, b"Created a delegate\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize("error, shown", [(ValueError, "the cause\n"), (KeyboardInterrupt, "")])
def test_an_error_lets_it_out_and_an_interrupt_does_not(capfd, error, shown):
    with pytest.raises(error), withheld_stderr():
        os.write(2, b"the cause\n")
        raise error
    os.write(2, b"after\n")
    assert capfd.readouterr().err == shown + "after\n"
