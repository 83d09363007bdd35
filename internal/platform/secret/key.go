package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Key encrypts secrets at rest with AES-256-GCM and signs with HMAC-SHA256. It is a file of 32 bytes below keys/ of the data folder.
type Key struct {
	aead cipher.AEAD
	sign []byte // derived from the key, for Sign alone
	file string
}

// OpenKey reads keys/<name> of the data folder, or makes it, readable by its owner only. Unavailable when it cannot be read or written,
// Precondition when it is damaged.
func OpenKey(dataDir, name string) (*Key, error) {
	const op = "secret.key"
	if err := os.MkdirAll(filepath.Join(dataDir, "keys"), 0o700); err != nil {
		return nil, errs.E(errs.Unavailable, op, "cannot make the folder of keys", err)
	}
	root, err := os.OpenRoot(filepath.Join(dataDir, "keys"))
	if err != nil {
		return nil, errs.E(errs.Unavailable, op, "cannot open the folder of keys", err)
	}
	defer func() { _ = root.Close() }()
	b, err := root.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		b, err = makeKey(root, name)
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, op, "cannot read keys/"+name+" of the data folder", err)
	}
	if len(b) != 32 {
		return nil, errs.E(errs.Precondition, op, "keys/"+name+" of the data folder is damaged: it has to hold 32 bytes", nil).
			WithHint("restore it from a backup; or delete it, and make what it protected (webhooks) anew")
	}
	block, err := aes.NewCipher(b)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Key{aead: aead, sign: hmacOf(b, []byte("sign")), file: name}, err
}

// makeKey writes a new key under another name first: a crash leaves no half key.
func makeKey(root *os.Root, name string) ([]byte, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	if err := root.Remove(name + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := root.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = root.Rename(name+".new", name)
	}
	return b, err
}

// Seal encrypts a secret. The owner's id is bound in, so that secrets cannot be swapped between rows.
func (k *Key) Seal(owner, secret string) ([]byte, error) {
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return k.aead.Seal(nonce, nonce, []byte(secret), []byte(owner)), nil
}

// Open decrypts what Seal made for that owner. Precondition when it cannot.
func (k *Key) Open(owner string, sealed []byte) (string, error) {
	n := k.aead.NonceSize()
	if len(sealed) < n {
		return "", errs.E(errs.Precondition, "secret.open", "the secret of "+owner+" cannot be read", nil)
	}
	b, err := k.aead.Open(nil, sealed[:n], sealed[n:], []byte(owner))
	if err != nil {
		return "", errs.E(errs.Precondition, "secret.open", "the secret cannot be decrypted: keys/"+k.file+" of the data folder was replaced; set the secret anew", nil)
	}
	return string(b), nil
}

// Sign is the hex HMAC-SHA256 of a message under this key: for addresses that this server gives out and gets back.
func (k *Key) Sign(message string) string { return hex.EncodeToString(hmacOf(k.sign, []byte(message))) }

// Signed reports, in constant time, whether signature is that of the message.
func (k *Key) Signed(message, signature string) bool {
	return hmac.Equal([]byte(k.Sign(message)), []byte(signature))
}

func hmacOf(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}
