package id

import (
	"crypto/rand"
)

// Secret is 160 random bits as text, for what must not be guessed: sessions, tokens, signing keys.
func Secret() string { return rand.Text() + rand.Text()[:6] }
