package pipelines

// A keySet remembers which record keys were seen, by their first 8 bytes: open
// addressing, at most half full. Keys are keyed pseudonyms, as good as random, so
// the chance that one of n different records is taken for a double is about
// n²/2^65: 3 in 10^8 for a million. It takes 16 bytes a record and stops growing,
// and remembering, at its limit.
type keySet struct {
	slots []uint64 // 0 is free
	used  int
	limit int
}

func newKeySet(limit int) *keySet { return &keySet{slots: make([]uint64, 1024), limit: limit} }

// add notes a key, which is not 0, and reports false when it was there.
func (k *keySet) add(word uint64) bool {
	at := k.find(word)
	if k.slots[at] == word {
		return false
	}
	if k.used == k.limit {
		return true
	}
	if k.used*2 >= len(k.slots) {
		k.grow()
		at = k.find(word)
	}
	k.slots[at] = word
	k.used++
	return true
}

// find returns the place of a word, or the free one where it belongs.
func (k *keySet) find(word uint64) int {
	mask := len(k.slots) - 1
	at := int(word>>1) & mask
	for k.slots[at] != 0 && k.slots[at] != word {
		at = (at + 1) & mask
	}
	return at
}

func (k *keySet) grow() {
	old := k.slots
	k.slots = make([]uint64, 2*len(old))
	for _, word := range old {
		if word != 0 {
			k.slots[k.find(word)] = word
		}
	}
}
