"""What onnx's own reference evaluator says of the files of this folder, beside what they are held
to (expected.tsv and operators.tsv.gz, which PyTorch and numpy gave).

    python3 reference.py        exit status 3: this Python has no onnx.reference (onnx 1.13 or later)

Prints a line for every file and form: its name, the form, the largest difference by max(1, |value|), and
what the evaluator said where it failed.
"""

import csv
import gzip
import io
import pathlib
import sys

try:
    import numpy as np
    import onnx
    from onnx.reference import ReferenceEvaluator
except ImportError as error:
    print(error)
    sys.exit(3)

HERE = pathlib.Path(__file__).resolve().parent
SEQUENCES = [
    "ACGTTGCATTAGCAGTCCATGGATACGTTAGC",
    "TTTACGGATCCAGGCATTTAACCGGATATGCA",
    "GATTACAGATTACAGAACGTGGGCATTCAATC",
]


def one_hot(length):
    x = np.zeros((len(SEQUENCES), 4, length))
    for i, sequence in enumerate(SEQUENCES):
        for j, letter in enumerate(sequence[:length]):
            x[i, "ACGT".index(letter), j] = 1
    return x


def sizes_of(value):
    return [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]


def as_declared(x, value):
    """One-hot sequences [n, 4, L] in the layout and the type of the file's first input."""
    sizes = sizes_of(value)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    if len(sizes) == 2:
        return x.argmax(1).astype(dtype)
    if len(sizes) == 4:
        return x[:, :, None, :].astype(dtype)
    if sizes[1] != 4 and sizes[2] == 4:
        x = x.transpose(0, 2, 1)
    return x.astype(dtype)


def control(value):
    numbers = np.arange(len(SEQUENCES) * 2 * 32) % 5 / 4
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return numbers.reshape(len(SEQUENCES), 2, 32).astype(dtype)


def evaluate(model, length):
    """All outputs for the sequences: at once, or one by one where the file holds a batch of one."""
    given = {}
    for value in model.graph.input:
        track = len(sizes_of(value)) == 3 and 4 not in sizes_of(value)
        given[value.name] = control(value) if track else as_declared(one_hot(length), value)
    evaluator = ReferenceEvaluator(model)
    if sizes_of(model.graph.input[0])[0] is None:
        return evaluator.run(None, given)
    rows = [
        evaluator.run(None, {name: x[i : i + 1] for name, x in given.items()})
        for i in range(len(SEQUENCES))
    ]
    return [np.concatenate(outputs) for outputs in zip(*rows)]


def report(name, form, data, length, expected):
    try:
        found = evaluate(onnx.load_model_from_string(data), length)
        apart = 0.0
        for one, values in zip(found, expected):
            one = np.asarray(one, dtype=np.float64).reshape(-1)
            if one.size != values.size:
                raise ValueError(f"{one.size} numbers for {values.size}")
            far = np.abs(one - values).max() / max(1, np.abs(values).max())
            apart = max(apart, far)
        print(name, form, repr(float(apart)), "", sep="\t")
    except Exception as error:  # whatever the evaluator throws is its answer
        said = " ".join(f"{type(error).__name__}: {error}".split())
        print(name, form, "", said[:200], sep="\t")


def numbers(text):
    return np.array([float(one) for one in text.split(",")])


print("name", "form", "apart", "said", sep="\t")
graphs = gzip.open(HERE / "operators.bin.gz").read()
with gzip.open(HERE / "operators.tsv.gz", "rt") as file:
    values = None
    for row in csv.DictReader(file, delimiter="\t"):
        values = numbers(row["values"]) if row["values"] else values
        begin = int(row["begin"])
        report(row["name"], row["form"], graphs[begin : begin + int(row["bytes"])], 12, [values])

expected = {}
for row in csv.DictReader(io.StringIO((HERE / "expected.tsv").read_text()), delimiter="\t"):
    expected.setdefault(row["model"], {}).setdefault(row["output"], []).append(float(row["value"]))
for path in sorted(HERE.glob("*.onnx")):
    wanted = [np.array(one) for _, one in sorted(expected[path.stem.split("_")[0]].items())]
    report(path.stem, "network", path.read_bytes(), 32, wanted)
