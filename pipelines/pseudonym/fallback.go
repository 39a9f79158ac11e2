package pseudonym

import "encoding/binary"

// A Person is what is known of a child without an identification number. Birth is year,
// month and day as one number, 20130509; Sex is F or M.
type Person struct {
	Family, Given []byte // as the agency wrote them
	Birth         int32
	Sex           byte
}

// A Fallback makes the inner pseudonyms of children who have no identification number:
//
//	x = HMAC-SHA-256(K[domain], enc("fallback", domain, normaliser version, family, given, birth, sex))[:16]
//
// under a key of its domain alone, so that none ever equals that of a number, and a child
// who is known by both is two. The patronymic takes no part: it is optional, and whoever
// leaves it out would never meet who does not. So two children of one name, one sex and
// one day of birth are one. [Hasher.Outer] makes pids of them. It is for one goroutine.
//
// Names can be tried like numbers, if with more patience: the key is what protects.
type Fallback struct {
	inner func(p *Person) ([16]byte, bool)
}

// Fallback returns what makes the keys of a domain, which is not that of numbers.
func (k *Keyring) Fallback(domain string) *Fallback {
	if domain == "" || domain == k.domain {
		panic("pseudonym: internal error: a fallback key in the domain of children")
	}
	mac := keyed(k.derive(slotRoot, "fallback", domain))
	prefix := enc(nil, "fallback", domain, nameVersion)
	message, name := make([]byte, 0, 16<<10), make([]byte, 0, 8<<10)
	part := func(raw []byte) (letters int) {
		name = AppendName(name[:0], raw)
		for _, b := range name {
			if b&0xc0 != 0x80 {
				letters++
			}
		}
		message = binary.BigEndian.AppendUint32(message, uint32(len(name))) //nolint:gosec // a cell of a file
		message = append(message, name...)
		clear(name)
		return letters
	}
	return &Fallback{func(p *Person) ([16]byte, bool) {
		// A name rests nowhere, not even here.
		defer func() { clear(message) }()
		message = append(message[:0], prefix...)
		family, given := part(p.Family), part(p.Given)
		if family < leastLetters || given < leastLetters || stands(p.Family) || stands(p.Given) || p.Birth == 0 || p.Sex != 'F' && p.Sex != 'M' {
			return [16]byte{}, false
		}
		message = binary.BigEndian.AppendUint32(message, 5)
		message = binary.BigEndian.AppendUint32(message, uint32(p.Birth)) //nolint:gosec // a date
		message = append(message, p.Sex)
		return [16]byte(mac(message)), true
	}}
}

// Inner returns the inner pseudonym of a child, and false for one who cannot be told from
// others: without a family name, a given name, a birth date or a sex, with an initial in
// the place of a name, or with a word that many newborns share.
func (f *Fallback) Inner(p *Person) ([16]byte, bool) { return f.inner(p) }

// leastLetters keeps initials out.
const leastLetters = 2

// stands reports whether what stands in the place of a name is none.
func stands(raw []byte) bool {
	name := AppendName(nil, raw)
	defer clear(name)
	return noNames[string(name)]
}

// noNames are in the normal form: words for a child who has no name yet, and for none.
var noNames = func() map[string]bool {
	words := map[string]bool{}
	for _, word := range []string{
		"новорожденный", "новорожденная", "ребенок", "младенец", "мальчик", "девочка", "плод", "без имени", "безымянный", "безымянная",
		"неизвестно", "неизвестный", "неизвестная", "неизвестен", "неизвестна", "не указано", "нет", "отсутствует", "аноним", "анонимно",
		"нәресте", "сәби", "бала", "ұл", "қыз", "белгісіз", "көрсетілмеген", "аты жоқ", "жоқ", "аноним",
		"newborn", "baby", "baby boy", "baby girl", "infant", "child", "unknown", "anonymous", "none", "null", "test", "тест",
	} {
		words[string(AppendName(nil, []byte(word)))] = true
	}
	return words
}()
