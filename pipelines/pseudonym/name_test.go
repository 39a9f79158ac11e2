package pseudonym

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func normal(name string) string { return string(AppendName(nil, []byte(name))) }

// Spellings of one name that registers of Kazakhstan hold are one.
func TestSpellingsOfOneName(t *testing.T) {
	t.Parallel()
	for _, spellings := range [][]string{
		{"Әлия", "Алия", "ӘЛИЯ", " әлия ", "Әли-я"},
		{"Нұрсұлтан", "Нурсултан", "Нұр-Сұлтан", "нур султан", "НҰРСҰЛТАН"},
		{"Қожахметов", "Кожахметов", "КОЖАХМЕТОВ", "Қoжахметов"}, // the last with a Latin o
		{"Әділ", "Адиль", "Әдiл"},                                // the last with a Latin i
		{"Күләш", "Куляш", "Кулаш"},
		{"Семёнов", "Семенов", "СЕМЁНОВ", "Семе\u0308нов"},
		{"Айгерім", "Айгерим", "Аи\u0306герим", "Аигерим"},
		{"Мұхаммед", "Мухаммед", "Мухамед"},
		{"Жамбыл", "Джамбыл", "ДЖАМБЫЛ", "Ж-а-мбыл"},
		{"Эльмира", "Елмира", "эльмира"},
		{"Жаһан", "Жахан", "Жаhан"}, // the last with a Latin h
		{"Өмірзақ", "Омирзак"},
		{"Ғалымжаң", "Галымжан"},
		{"Иванова-Петрова", "Иванова Петрова", "ИВАНОВА — ПЕТРОВА"},
		{"O’Neill", "ONEILL", "O'Neil"},
		{"Işık", "ISIK", "isik"},
		{"Strauß", "STRAUSS", "strauss"},
		{"ﬁona", "Fiona"},
		{"Ａｎｎａ", "anna"},
	} {
		for _, other := range spellings[1:] {
			if normal(spellings[0]) != normal(other) {
				t.Errorf("%s and %s are %q and %q", spellings[0], other, normal(spellings[0]), normal(other))
			}
		}
	}
	for _, apart := range [][2]string{
		{"Айгуль", "Айгерим"}, {"Ахметов", "Ахметова"}, {"Данияр", "Диар"}, {"Асан", "Усен"}, {"Anna", "Анна"}, {"Жан", "Дан"},
	} {
		if normal(apart[0]) == normal(apart[1]) {
			t.Errorf("%s and %s are one", apart[0], apart[1])
		}
	}
}

// whatever of Kazakh, Russian and Latin letters, marks, and what stands between.
func names() *rapid.Generator[string] {
	letters := []rune("аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюяАӘБВГҒДЕЁЖЗИЙКҚЛМНҢОӨПРСТУҰҮФХҺЦЧШЩЪЫІЬЭЮЯ" +
		"abcdefghijklmnopqrstuvwxyzABCIXYZıİßé\u0308\u0306 -'’‐.\u00a0\u200d1№")
	return rapid.StringOfN(rapid.SampledFrom(letters), 0, 40, -1)
}

// The laws of the normaliser: its result is its own normal form, and neither case, marks,
// composition, hyphens and spaces, nor Kazakh letters for Russian ones change it.
func TestNormalFormOfNames(t *testing.T) {
	t.Parallel()
	russian := strings.NewReplacer("ә", "а", "ғ", "г", "қ", "к", "ң", "н", "ө", "о", "ұ", "у", "ү", "у", "һ", "х", "і", "и", "ё", "е",
		"Ә", "А", "Ғ", "Г", "Қ", "К", "Ң", "Н", "Ө", "О", "Ұ", "У", "Ү", "У", "Һ", "Х", "І", "И", "Ё", "Е")
	rapid.Check(t, func(t *rapid.T) {
		name := names().Draw(t, "name")
		got := normal(name)
		for what, other := range map[string]string{
			"twice": got, "in capitals": strings.ToUpper(name), "in small letters": strings.ToLower(name),
			"composed": norm.NFC.String(name), "decomposed": norm.NFD.String(name),
			"with hyphens":  strings.Join(strings.Split(name, ""), "-"),
			"without space": strings.ReplaceAll(name, " ", ""), "with spaces around": "  " + name + "\t",
			"in Russian letters": russian.Replace(norm.NFC.String(name)),
		} {
			if what == "with hyphens" && strings.ContainsAny(norm.NFD.String(name), "\u0308\u0306\u0301\u0307") {
				continue // it would part a letter from its mark
			}
			if normal(other) != got {
				t.Errorf("%q: %q, %s %q", name, got, what, normal(other))
			}
		}
		checkNormal(t, got)
	})
}

func checkNormal(t interface{ Errorf(string, ...any) }, got string) {
	last := rune(0)
	for _, r := range got {
		if !unicode.IsLetter(r) || unicode.IsUpper(r) || r == last {
			t.Errorf("%q is no normal form", got)
		}
		last = r
	}
}

func FuzzAppendName(f *testing.F) {
	for _, seed := range []string{"", "Әлия", "Джамбыл", "ДДЖЖ", "Нұр-Сұлтан", "ß", "ẞSs", "ıİ", "ﬃ", "\xff\xfe", "а\u0345", "ǅ", "Қoжа", "ж\u0306д", "ͺ", "ᾳ", "ﷺ"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		before := bytes.Clone(name)
		got := AppendName([]byte("x"), name)
		if !bytes.Equal(before, name) || got[0] != 'x' || !utf8.Valid(got) {
			t.Fatalf("%q was changed, or %q is not behind what was there", before, got)
		}
		if again := AppendName(nil, got[1:]); !bytes.Equal(again, got[1:]) {
			t.Errorf("%q: %q, and that again %q", name, got[1:], again)
		}
		checkNormal(t, string(got[1:]))
	})
}

func testKeyring(t *testing.T) *Keyring {
	t.Helper()
	opened, err := Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	k, err := Parse(opened)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The key is what the comment of [Fallback] says, by another way of computing it.
func TestFallbackKey(t *testing.T) {
	t.Parallel()
	k := testKeyring(t)
	got, linked := k.Fallback("child_name").Inner(&Person{[]byte("Ахметов"), []byte("Әлихан"), 20130509, 'M'})
	key, err := hkdf.Key(sha256.New, k.key(slotRoot), nil, "pana/v1/fallback/child_name", 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	message := enc(nil, "fallback", "child_name", "name/1", "ахметов", "алихан")
	message = append(message, 0, 0, 0, 5, 0x01, 0x33, 0x2a, 0xcd, 'M') // 20130509 is 0x01332acd
	mac.Write(message)
	if !linked || got != [16]byte(mac.Sum(nil)) {
		t.Errorf("%v %x, want %x", linked, got, mac.Sum(nil)[:16])
	}
}

// One child has one key however the names are written; another name, day or sex,
// domain or keyring is another key; and what is no name has none.
func TestFallbackTellsChildrenApart(t *testing.T) {
	t.Parallel()
	k := testKeyring(t)
	f := k.Fallback("child_name")
	key := func(f *Fallback, family, given string, birth int32, sex byte) [16]byte {
		x, linked := f.Inner(&Person{[]byte(family), []byte(given), birth, sex})
		if linked != (x != [16]byte{}) {
			t.Errorf("%s %s is linked: %v, by %x", family, given, linked, x)
		}
		return x
	}
	one := key(f, "Сейтқалиев", "Нұрлан", 20120101, 'M')
	if one == ([16]byte{}) || one != key(f, "СЕЙТКАЛИЕВ", "нурлан", 20120101, 'M') || one != key(k.Fallback("child_name"), "Сейткалиев", "Нурлан", 20120101, 'M') {
		t.Error("spellings of one child are not one")
	}
	seen := map[[16]byte]string{one: "the first"}
	for what, other := range map[string][16]byte{
		"another given name": key(f, "Сейтқалиев", "Нұржан", 20120101, 'M'), "another family": key(f, "Сейтов", "Нұрлан", 20120101, 'M'),
		"another day": key(f, "Сейтқалиев", "Нұрлан", 20120102, 'M'), "another sex": key(f, "Сейтқалиев", "Нұрлан", 20120101, 'F'),
		"names exchanged": key(f, "Нұрлан", "Сейтқалиев", 20120101, 'M'), "a border moved": key(f, "Сейтқалиевн", "ұрлан", 20120101, 'M'),
		"another domain": key(k.Fallback("contact"), "Сейтқалиев", "Нұрлан", 20120101, 'M'), "another keyring": key(testKeyring(t).Fallback("child_name"), "Сейтқалиев", "Нұрлан", 20120101, 'M'),
	} {
		if was, twice := seen[other]; twice {
			t.Errorf("%s and %s are one child", what, was)
		}
		seen[other] = what
	}
	for _, none := range []Person{
		{nil, []byte("Нұрлан"), 20120101, 'M'},
		{[]byte("Сейтқалиев"), nil, 20120101, 'M'},
		{[]byte("Сейтқалиев"), []byte("Н."), 20120101, 'M'},
		{[]byte("Сейтқалиев"), []byte("Нұрлан"), 0, 'M'},
		{[]byte("Сейтқалиев"), []byte("Нұрлан"), 20120101, 0},
		{[]byte("Сейтқалиев"), []byte("Новорождённый"), 20120101, 'M'},
		{[]byte("неизвестно"), []byte("Нұрлан"), 20120101, 'M'},
		{[]byte("Сейтқалиев"), []byte("НӘРЕСТЕ"), 20120101, 'M'},
		{[]byte("--"), []byte("12"), 20120101, 'M'},
	} {
		if x, linked := f.Inner(&none); linked || x != ([16]byte{}) {
			t.Errorf("%s %s is linked", none.Family, none.Given)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a fallback key was made in the domain of numbers")
		}
	}()
	k.Fallback(k.Domain())
}
