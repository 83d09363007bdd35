// Package pyenv makes Python environments for lists of requirements and keeps them.
//
// An environment is keyed by the interpreter's exact version, the requirements, the platform and the tool, so that steps
// and models that ask for the same share one. It is built with uv where that is installed, else with venv and pip.
//
// Invariants:
//   - Virtual environments can't be moved, so one is built in its final place and counts only once its ready marker is
//     there; a build that was cut off is started over.
//   - A file lock per key keeps two builders, in one process or in several, from working on the same environment. The
//     tool inherits the lock, so that one orphaned by a crash is waited for and not overtaken.
//   - Building runs other people's set-up code: always in a child process, with an environment that carries
//     paths, proxies, certificates and the settings of pip and uv, and nothing else.
package pyenv
