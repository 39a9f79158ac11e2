package pseudonym

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// nameVersion is of the normaliser of names: see [AppendName]. It is part of what is
// hashed.
const nameVersion = "name/1"

// AppendName appends the normal form of a person's name, in which the spellings of one
// name that Kazakhstan's registers hold are one: in capitals or not, with hyphens, spaces
// and apostrophes or without, composed or not, with ё or е, in Kazakh letters or in the
// Russian ones that stand for them, with single letters for double ones, and with Latin
// letters among Cyrillic ones that look the same. It holds letters only, none of which
// tells which spelling there was.
//
// It will not transliterate a name that is in Latin letters throughout, translate one
// (Михаил and Майкл), nor mend a misspelling: two spellings too many for one child are
// two keys, which is the safer mistake. Its result is a name of a person: it must go
// straight into a hash, and the buffer must be cleared.
func AppendName(dst, name []byte) []byte {
	decomposed := norm.NFKD.Append(make([]byte, 0, 4*len(name)), name...)
	out := make([]rune, 0, len(decomposed))
	defer func() { clear(decomposed); clear(out[:cap(out)]) }()
	cyrillic := bytes.ContainsFunc(decomposed, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) })
	for rest := decomposed; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		r = plainLetter(r, cyrillic)
		switch r {
		case 0:
			continue
		case 'ж': // Джамбыл is how Жамбыл was written once
			for len(out) > 0 && out[len(out)-1] == 'д' {
				out = out[:len(out)-1]
			}
		case 'ß':
			out = pushLetter(out, 's')
			r = 's'
		}
		out = pushLetter(out, r)
	}
	for _, r := range out {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// pushLetter leaves out what repeats: Мұхаммед, Мухамед.
func pushLetter(out []rune, r rune) []rune {
	if len(out) > 0 && out[len(out)-1] == r {
		return out
	}
	return append(out, r)
}

// plainLetter returns what a letter of a decomposed name counts as, 0 for what does not
// count. Marks do not: without them ё is е, й is и, é is e.
func plainLetter(r rune, cyrillic bool) rune {
	if !unicode.IsLetter(r) || unicode.Is(unicode.Lm, r) {
		return 0
	}
	r = unicode.ToLower(unicode.ToUpper(r)) // ı, ς and ſ have no other way down
	if cyrillic {
		if twin, is := lookAlikes[r]; is {
			r = twin
		}
	}
	if plain, is := kazakhLetters[r]; is {
		return plain
	}
	return r
}

// kazakhLetters are the letters of Kazakh and the Russian ones that stand for them in
// papers of the same people; and those of Russian that a name in Kazakh letters goes
// without: Күләш is Куляш, Әділ is Адиль, Эльмира is Елмира.
var kazakhLetters = map[rune]rune{
	'ә': 'а', 'ғ': 'г', 'қ': 'к', 'ң': 'н', 'ө': 'о', 'ұ': 'у', 'ү': 'у', 'һ': 'х', 'і': 'и',
	'э': 'е', 'я': 'а', 'ю': 'у', 'щ': 'ш', 'ъ': 0, 'ь': 0,
}

// lookAlikes are Latin letters in the place of Cyrillic ones in a name that has others:
// keyboards without Kazakh letters offer i, h and the rest.
var lookAlikes = map[rune]rune{
	'a': 'а', 'b': 'в', 'c': 'с', 'e': 'е', 'h': 'һ', 'i': 'і', 'k': 'к', 'm': 'м', 'o': 'о', 'p': 'р', 't': 'т', 'x': 'х', 'y': 'у',
}
