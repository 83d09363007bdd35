"""The peer: FastAPI and ONNX Runtime as a careful team would write them, one process, uvloop and httptools. No logging, no monitoring."""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
app = FastAPI()


class Row(BaseModel):
    hour: float
    weekday: float
    workingday: float
    holiday: float
    temperature: float
    feels_like: float
    humidity: float
    windspeed: float


@app.post("/predict")
async def predict(row: Row) -> dict:
    values = [row.hour, row.weekday, row.workingday, row.holiday, row.temperature, row.feels_like, row.humidity, row.windspeed]
    return {"prediction": float(session.run(None, {name: np.array([values], dtype=np.float32)})[0].ravel()[0])}
