"""Which numbers go together, and how wide they are."""

import pytest

from keras_models.numeric_form import NumericForm


@pytest.mark.parametrize(
    ("arguments", "product_bits", "state_bits", "name"),
    [
        (("float32",), None, None, "float32"),
        (("int8",), 8, 8, "int8"),
        (("int8", "int8"), 8, 8, "int8"),
        (("int8", "int16"), 8, 16, "int8_state16"),
        (("int16",), 16, 16, "int16"),
        (("int16", "int16"), 16, 16, "int16"),
    ],
)
def test_widths(arguments, product_bits, state_bits, name):
    form = NumericForm(*arguments)
    assert (form.product_bits, form.state_bits, form.name) == (product_bits, state_bits, name)
    assert form.is_float == (product_bits is None)


def test_the_same_numbers_are_the_same_form():
    """Said in full or not: a model made with one is converted with the other."""
    assert NumericForm("int8", "int8") == NumericForm("int8") != NumericForm("int8", "int16")
    assert NumericForm("int16", "int16") == NumericForm("int16")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("int4",), "activations='int4': expected one of 'float32', 'int8', 'int16'"),
        ((None,), "activations=None: expected one of"),
        (("int8", "int4"), "state_dtype='int4': expected one of None, 'int8', 'int16'"),
        (("int8", "float32"), "state_dtype='float32': expected one of"),
        (("float32", "int16"), "state_dtype='int16' goes with activations='int8', not with 'float32'"),
        (("float32", "int8"), "state_dtype='int8' goes with activations='int8', not with 'float32'"),
        (("int16", "int8"), "state_dtype='int8' goes with activations='int8', not with 'int16'"),
    ],
)
def test_nonsense(arguments, words):
    with pytest.raises(ValueError, match=words):
        NumericForm(*arguments)
