"""Runs one MLflow model for the server that started this process.

Talks over the inherited socket (descriptor 3). Every message, both ways, is
    u32 header length | u64 payload length | header (JSON) | payload (raw little-endian buffers)
The header of a message names its columns and the sizes of their buffers, in order: values; for text the offsets
(int64, count + 1) and then the bytes; last, where "valid" is set, one byte for each value. Nothing is ever unpickled
from the socket. Needs the standard library and what the model's environment has: numpy, pandas, mlflow.
"""

import datetime
import decimal
import json
import os
import resource
import socket
import struct
import sys
import time
import traceback
import warnings

HEAD = struct.Struct("<IQ")
MAX_HEADER = 64 << 20

sock = socket.socket(fileno=3)
model = None
classifier = None  # what has predict_proba for this model, None when nothing has


def receive():
    head = read(HEAD.size)
    if head is None:
        return None, None
    header_size, payload_size = HEAD.unpack(head)
    if header_size > MAX_HEADER:
        raise SystemExit("a header of %d bytes" % header_size)
    return json.loads(bytes(read(header_size))), read(payload_size)


def read(size):
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        n = sock.recv_into(view[got:], min(size - got, 1 << 20))
        if n == 0:
            return None
        got += n
    return data


def send(header, buffers=()):
    text = json.dumps(header).encode()
    total = sum(len(b) for b in buffers)
    sock.sendall(HEAD.pack(len(text), total) + text)
    for b in buffers:
        sock.sendall(b)


# ---- what is asked -------------------------------------------------------------------------------------------------

COLUMN_TYPES = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
BUFFER_TYPES = {"float64": "<f8", "int64": "<i8", "datetime": "<i8", "bool": "?"}


def decode_columns(header, payload):
    view, at = memoryview(payload), 0

    def take(size):
        nonlocal at
        at += size
        return view[at - size : at]

    columns = []
    for c in header["columns"]:
        sizes = c["sizes"]
        valid = None
        if c["kind"] in BUFFER_TYPES:
            values = np.frombuffer(take(sizes[0]), dtype=BUFFER_TYPES[c["kind"]])
        else:
            offsets = np.frombuffer(take(sizes[0]), dtype="<i8").tolist()
            data = bytes(take(sizes[1]))
            parts = [data[a:b] for a, b in zip(offsets, offsets[1:])]
            if c["kind"] != "binary":
                parts = [p.decode() for p in parts]
            values = parts
        if c.get("valid"):
            valid = np.frombuffer(take(sizes[-1]), dtype="?")
        columns.append((c, values, valid))
    return columns


def native(c, values, valid):
    """The column as the array that pandas would have made of it."""
    kind, declared = c["kind"], c.get("type") or ""
    if kind == "datetime":
        values = values.astype("datetime64[us]")
        if valid is not None:
            values = values.copy()
            values[~valid] = np.datetime64("NaT")
        return values.astype("datetime64[ns]") if not c.get("tensor") else values
    if kind == "json":
        values = [json.loads(v) if valid is None or valid[i] else None for i, v in enumerate(values)]
        out = np.empty(len(values), dtype=object)
        out[:] = values if not any(isinstance(v, (list, tuple)) for v in values) else [None] * len(values)
        for i, v in enumerate(values):
            out[i] = v
        return out
    if kind in ("string", "binary"):
        out = np.empty(len(values), dtype=object)
        for i, v in enumerate(values):
            out[i] = v if valid is None or valid[i] else None
        return out
    if valid is not None and not valid.all():
        if kind == "bool":
            out = values.astype(object)
            out[~valid] = None
            return out
        values = values.astype("float64")
        values[~valid] = np.nan
        return values
    wanted = declared if c.get("tensor") else COLUMN_TYPES.get(declared)
    if wanted:
        try:
            return values.astype(np.dtype(wanted))
        except TypeError:
            pass
    return values.copy()  # a model may write into what it is given; the buffer is read-only


def build_input(header, payload):
    rows, mode, arrays = header["rows"], header["mode"], []
    for c, values, valid in decode_columns(header, payload):
        shape = c.get("shape") or []
        values = native(c, values, valid)
        arrays.append((c["name"], values.reshape([rows, *shape]) if shape else values))
    if mode == "array":
        return arrays[0][1]
    if mode == "arrays":
        return dict(arrays)
    data = {}
    for name, values in arrays:
        data[name] = list(values) if values.ndim > 1 else values
    return pd.DataFrame(data, copy=False) if data else pd.DataFrame(index=range(rows))


# ---- what is answered ----------------------------------------------------------------------------------------------


def plain(value):
    """What json can't write by itself."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (pd.DataFrame,)):
        return value.to_dict(orient="records")
    if isinstance(value, (pd.Series, set, frozenset)):
        return list(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if hasattr(value, "to_dict"):
        return value.to_dict()
    raise TypeError("an answer of type %s can't be sent" % type(value).__name__)


class Answer:
    def __init__(self):
        self.columns, self.buffers = [], []

    def text(self, column, parts, valid):
        offsets = np.zeros(len(parts) + 1, dtype="<i8")
        np.cumsum([len(p) for p in parts], out=offsets[1:])
        self.put(column, [offsets.tobytes(), b"".join(parts)], valid)

    def put(self, column, buffers, valid):
        if valid is not None and not valid.all():
            column["valid"] = True
            buffers.append(np.ascontiguousarray(valid, dtype="?").tobytes())
        column["sizes"] = [len(b) for b in buffers]
        self.columns.append(column)
        self.buffers += buffers

    def add(self, name, values):
        if hasattr(values, "dtype") and not isinstance(values.dtype, np.dtype):  # pandas' own types
            values = self.extension(values)
        values = np.asarray(values)
        column = {"name": str(name), "shape": list(values.shape[1:])}
        flat = values.reshape(-1)
        kind = flat.dtype.kind
        if kind == "b":
            column["kind"] = "bool"
            self.put(column, [flat.tobytes()], None)
        elif kind in "iu":
            if kind == "u" and flat.dtype.itemsize == 8 and len(flat) and flat.max() > np.iinfo("i8").max:
                column["kind"] = "float64"
                self.put(column, [flat.astype("<f8").tobytes()], None)
            else:
                column["kind"] = "int64"
                self.put(column, [flat.astype("<i8").tobytes()], None)
        elif kind == "f":
            column["kind"] = "float64"
            self.put(column, [flat.astype("<f8").tobytes()], None)
        elif kind == "M":
            column["kind"] = "datetime"
            valid = ~np.isnat(flat)
            self.put(column, [np.where(valid, flat.astype("datetime64[us]").astype("<i8"), 0).tobytes()], valid)
        elif kind in "US":
            column["kind"] = "string" if kind == "U" else "binary"
            self.text(column, [v.encode() if kind == "U" else bytes(v) for v in flat.tolist()], None)
        elif kind == "O":
            self.objects(column, flat.tolist())
        else:
            raise TypeError("an answer of numpy type %s can't be sent" % flat.dtype)

    def extension(self, values):
        if isinstance(values.dtype, pd.CategoricalDtype):
            return np.asarray(values, dtype=object)
        if pd.api.types.is_bool_dtype(values.dtype) and not values.isna().any():
            return values.to_numpy(dtype=bool)
        if pd.api.types.is_integer_dtype(values.dtype) and not values.isna().any():
            return values.to_numpy(dtype="int64")
        if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
            return values.to_numpy(dtype="float64", na_value=np.nan)
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            return values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return values.to_numpy(dtype=object)

    def objects(self, column, values):
        missing = [v is None or v is pd.NaT or v is pd.NA or (isinstance(v, float) and v != v) for v in values]
        there = [v for v, m in zip(values, missing) if not m]
        valid = ~np.array(missing, dtype=bool)
        every = lambda *types: bool(there) and all(isinstance(v, types) for v in there)  # noqa: E731
        if every(str):
            column["kind"] = "string"
            self.text(column, [b"" if m else v.encode() for v, m in zip(values, missing)], valid)
        elif every(bytes):
            column["kind"] = "binary"
            self.text(column, [b"" if m else v for v, m in zip(values, missing)], valid)
        elif every(bool, np.bool_):
            column["kind"] = "bool"
            self.put(column, [np.array([bool(v) and not m for v, m in zip(values, missing)]).tobytes()], valid)
        elif every(int, float, np.number, decimal.Decimal) or not there:
            column["kind"] = "float64"
            self.put(column, [np.array([np.nan if m else float(v) for v, m in zip(values, missing)], dtype="<f8").tobytes()], None)
        else:
            column["kind"] = "json"
            self.text(column, [json.dumps(None if m else v, default=plain).encode() for v, m in zip(values, missing)], valid)


def encode_answer(result):
    """Header and buffers of what predict returned."""
    answer, array, rows = Answer(), False, None
    if hasattr(result, "tocsr") and hasattr(result, "toarray"):  # scipy's sparse matrices
        result = result.toarray()
    if isinstance(result, pd.DataFrame):
        rows = len(result)
        for i, name in enumerate(result.columns):
            answer.add(name, result.iloc[:, i])
    elif isinstance(result, pd.Series):
        rows = len(result)
        answer.add("0" if result.name is None else result.name, result)
    elif isinstance(result, dict) and result and all(isinstance(v, (np.ndarray, list)) for v in result.values()):
        lengths = {len(v) for v in result.values()}
        if len(lengths) != 1:
            raise TypeError("the columns of the answer differ in length")
        rows = lengths.pop()
        for name, values in result.items():
            answer.add(name, listed(values))
    else:
        array = True
        if isinstance(result, tuple) or hasattr(result, "__next__"):
            result = list(result)
        values = listed(result if isinstance(result, (np.ndarray, list)) else [result])
        if values.ndim == 0:
            values = values.reshape(1)
        rows = len(values)
        answer.add("", values)
    return {"rows": rows, "array": array, "columns": answer.columns}, answer


def listed(values):
    if isinstance(values, np.ndarray):
        return values
    try:
        out = np.asarray(values)
        if out.dtype.kind not in "US" or all(isinstance(v, str) for v in values):
            return out
    except ValueError:
        pass
    out = np.empty(len(values), dtype=object)
    for i, v in enumerate(values):
        out[i] = v
    return out


# ---- verbs ---------------------------------------------------------------------------------------------------------


def load(header, _):
    global np, pd, model, classifier
    begin = time.monotonic()
    try:
        import numpy as np
        import pandas as pd
        import mlflow
        import mlflow.pyfunc
    except ImportError as e:
        return {"error": "import", "message": str(e), "trace": trace()}, ()
    imported = time.monotonic()
    model = mlflow.pyfunc.load_model(header["dir"])
    classifier = probabilities()
    loaded = time.monotonic()
    notes = warm() if header.get("warm") else []
    info = {
        "python": "%d.%d.%d" % sys.version_info[:3],
        "mlflow": mlflow.__version__,
        "import_seconds": imported - begin,
        "load_seconds": loaded - imported,
        "warm_seconds": time.monotonic() - loaded,
        "rss": rss(),
        "notes": notes,
        "classes": [str(c) for c in classifier.classes_] if classifier is not None else [],
    }
    return info, ()


def probabilities():
    """The scikit-learn style classifier behind a model whose predict gives labels, if there is one."""
    inner = getattr(model, "_model_impl", None)
    asked = getattr(model, "_predict_fn", None)  # the name, or the method in newer versions
    if getattr(asked, "__name__", asked) not in (None, "predict") or type(inner).__name__ == "_PythonModelPyfuncWrapper":
        return None
    for name in ("sklearn_model", "lgb_model", "xgb_model", "cb_model"):
        inner = getattr(inner, name, inner)
    classes = getattr(inner, "classes_", None)
    if isinstance(classes, np.ndarray) and classes.ndim == 1 and callable(getattr(inner, "predict_proba", None)):
        return inner
    return None


def warm():
    """One prediction on the input example, so that the first caller does not pay for lazy imports."""
    try:
        example = model.input_example if hasattr(model, "input_example") else None
        if example is None and model.metadata is not None:
            example = model.metadata.load_input_example(model.metadata.artifact_path)
    except Exception:
        example = None
    if example is None:
        return []
    try:
        result = model.predict(example)
        encode_answer(result)
        return ["warmed up on the input example"]
    except Exception as e:
        return ["the input example could not be predicted: %s" % first_line(e)]


def predict(header, payload):
    begin = time.perf_counter()
    data = build_input(header, payload)
    params = header.get("params")
    extra, note = None, None
    decoded = time.perf_counter()
    result = model.predict(data, params=params) if params else model.predict(data)
    predicted = time.perf_counter()
    reply, answer = encode_answer(result)
    if classifier is not None and header["mode"] != "arrays":
        try:
            extra = np.asarray(classifier.predict_proba(data), dtype="<f8")
        except Exception as e:  # predict worked: its answer counts
            note = first_line(e)
        if extra is not None and extra.shape == (reply["rows"], len(classifier.classes_)):
            reply["extra"] = 1
            answer.add("probability", extra)
    if note:
        reply["note"] = note
    reply["seconds"] = [decoded - begin, predicted - decoded, time.perf_counter() - predicted]
    return reply, answer.buffers


def ping(_, __):
    return {"rss": rss()}, ()


def rss():
    try:
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def first_line(e):
    return (type(e).__name__ + ": " + str(e)).strip().splitlines()[0][:300]


def trace():
    return traceback.format_exc()[-4000:]


def fault(e):
    """Whose fault: the input's when MLflow's own check of the signature refused it, else the model's."""
    code = str(getattr(e, "error_code", ""))
    enforced = type(e).__module__.startswith("mlflow.") and code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
    return "input" if enforced else "model"


def main():
    verbs = {"load": load, "predict": predict, "ping": ping}
    warnings.filterwarnings("ignore", message=".*Hint: Inferred schema contains integer column.*")
    while True:
        header, payload = receive()
        if header is None or payload is None:
            os._exit(0)  # the server is gone
        if header["verb"] == "drain":
            send({"id": header["id"]})
            return
        try:
            reply, buffers = verbs[header["verb"]](header, payload)
        except Exception as e:
            print(trace(), file=sys.stderr, flush=True)
            reply, buffers = {"error": fault(e), "message": str(e)[:2000], "class": type(e).__name__, "trace": trace()}, ()
        except SystemExit as e:  # a model that calls sys.exit
            reply, buffers = {"error": "model", "message": "the model's code asked to exit (%s)" % e, "class": "SystemExit", "trace": trace()}, ()
        payload = None
        reply["id"] = header["id"]
        send(reply, buffers)


main()
