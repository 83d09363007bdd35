// Package pyworker runs the MLflow models that only Python can run, each in worker processes of its own.
//
// A worker is a Python process in the environment that the model asks for. It loads the model with
// mlflow.pyfunc.load_model and answers requests over a socket that it inherited: nobody else can reach it. The server
// never unpickles or imports anything of a model.
//
// Invariants:
//   - A worker sees no secret of the server: its environment variables are an allow-list, its home and temporary folder
//     private (mode 0700) and removed with it.
//   - A worker ends with the server, however that ends, and everything that it started ends with it.
//   - A call never waits without bound: the queue is limited, a call that takes too long costs its worker its life, and
//     a call in a worker that dies fails as unavailable. A dead worker is started again with growing pauses.
//   - Answers are checked like any foreign input: a model can write to the socket, too.
package pyworker
