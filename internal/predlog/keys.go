package predlog

import (
	"hash/maphash"
	"sync"
)

// maxKeys bounds one generation of the key index; at most two are kept: about 30 MiB when full.
const maxKeys = 200_000

// keyIndex knows the newest prediction of recent caller keys. What it has forgotten is looked up in the log.
type keyIndex struct {
	seed maphash.Seed
	mu   sync.Mutex
	now  map[uint64]ID
	old  map[uint64]ID
}

func newKeyIndex() *keyIndex {
	return &keyIndex{seed: maphash.MakeSeed(), now: map[uint64]ID{}, old: map[uint64]ID{}}
}

func (k *keyIndex) hash(endpoint, key string) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	_, _ = h.WriteString(endpoint)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key)
	return h.Sum64()
}

// add notes the keys of rows that were answered; shadow scores do not count.
func (k *keyIndex) add(endpoint string, b *Batch, lo, hi int) {
	if b.Keys == nil || b.Role == Shadow {
		return
	}
	for i := lo; i < hi; i++ {
		if b.Keys[i] != "" {
			k.put(endpoint, b.Keys[i], b.IDs[i])
		}
	}
}

func (k *keyIndex) put(endpoint, key string, id ID) {
	h := k.hash(endpoint, key)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.now) >= maxKeys {
		k.now, k.old = map[uint64]ID{}, k.now
	}
	k.now[h] = id
}

func (k *keyIndex) get(endpoint, key string) (ID, bool) {
	h := k.hash(endpoint, key)
	k.mu.Lock()
	defer k.mu.Unlock()
	id, ok := k.now[h]
	if !ok {
		id, ok = k.old[h]
	}
	return id, ok
}
