package alert

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// key encrypts secrets at rest with AES-256-GCM; the webhook's id is bound in, so that secrets cannot be swapped between rows.
type key struct{ aead cipher.AEAD }

// openKey reads keys/webhook.key of the data folder, or makes it, readable by its owner only.
func openKey(dataDir string) (*key, error) {
	const op = "alert.key"
	if err := os.MkdirAll(filepath.Join(dataDir, "keys"), 0o700); err != nil {
		return nil, errs.E(errs.Unavailable, op, "cannot make the folder of keys", err)
	}
	root, err := os.OpenRoot(filepath.Join(dataDir, "keys"))
	if err != nil {
		return nil, errs.E(errs.Unavailable, op, "cannot open the folder of keys", err)
	}
	defer func() { _ = root.Close() }()
	b, err := root.ReadFile("webhook.key")
	if errors.Is(err, os.ErrNotExist) {
		b, err = makeKey(root)
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, op, "cannot read keys/webhook.key of the data folder", err)
	}
	if len(b) != 32 {
		return nil, errs.E(errs.Precondition, op, "keys/webhook.key of the data folder is damaged: it has to hold 32 bytes", nil).
			WithHint("restore it from a backup; or delete it, and make the webhooks anew")
	}
	block, err := aes.NewCipher(b)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &key{aead}, err
}

// makeKey writes a new key under another name first: a crash leaves no half key.
func makeKey(root *os.Root) ([]byte, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	if err := root.Remove("webhook.key.new"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := root.OpenFile("webhook.key.new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = root.Rename("webhook.key.new", "webhook.key")
	}
	return b, err
}

func (k *key) seal(hookID, secret string) ([]byte, error) {
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return k.aead.Seal(nonce, nonce, []byte(secret), []byte(hookID)), nil
}

func (k *key) open(hookID string, sealed []byte) (string, error) {
	n := k.aead.NonceSize()
	if len(sealed) < n {
		return "", errs.E(errs.Precondition, "alert.key", "the secret of this webhook cannot be read", nil)
	}
	b, err := k.aead.Open(nil, sealed[:n], sealed[n:], []byte(hookID))
	if err != nil {
		return "", errs.E(errs.Precondition, "alert.key", "the secret of this webhook cannot be decrypted: the key file of the data folder was replaced; make the webhook anew", nil)
	}
	return string(b), nil
}
