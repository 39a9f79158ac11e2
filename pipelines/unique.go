package pipelines

import "math/bits"

// A keySet remembers which record keys were seen, by their first 8 bytes: open
// addressing, at most three quarters full. Keys are keyed pseudonyms, as good as
// random, so the chance that one of n different records is taken for a double is
// about n²/2^65: 3 in 10^8 for a million. It takes 11 bytes a record at its limit,
// where it stops growing, and remembering; what comes then is for the gateway to look
// for, where the rows are stored. That much it takes from some ten
// thousands of records on, so that memory does not hang on the length of a file.
type keySet struct {
	slots []uint64 // 0 is free
	used  int
	limit int
	full  bool // a key came that is not remembered
}

// The sizes of a set: few slots for small files, and then all of them.
const (
	fewSlots  = 4096
	someSlots = 65536
)

func newKeySet(limit int) *keySet { return &keySet{slots: make([]uint64, fewSlots), limit: limit} }

// add notes a key, which is not 0, and reports false when it was there.
func (k *keySet) add(word uint64) bool {
	at := k.find(word)
	if k.slots[at] == word {
		return false
	}
	if k.used == k.limit {
		k.full = true
		return true
	}
	if k.used >= len(k.slots)/4*3 {
		k.grow()
		at = k.find(word)
	}
	k.slots[at] = word
	k.used++
	return true
}

// find returns the place of a word, or the free one where it belongs.
func (k *keySet) find(word uint64) int {
	high, _ := bits.Mul64(word, uint64(len(k.slots)))
	at := int(high) //nolint:gosec // below the number of slots
	for k.slots[at] != 0 && k.slots[at] != word {
		if at++; at == len(k.slots) {
			at = 0
		}
	}
	return at
}

func (k *keySet) grow() {
	old := k.slots
	size := k.limit/3*4 + 8
	if len(old) < someSlots && size > someSlots {
		size = 4 * len(old)
	}
	k.slots = make([]uint64, max(size, len(old)+8))
	for _, word := range old {
		if word != 0 {
			k.slots[k.find(word)] = word
		}
	}
}
