package pseudonym

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Style.md 3 and trust.md 5.5: nothing that holds keys shows them, in seven
// shapes, through seven verbs, encoding/json and two handlers of slog.
func TestKeysDoNotLeak(t *testing.T) {
	k := vectorKeyring(t)
	h := hasher(t, k, "agency-a")
	var pid [16]byte
	h.PID(&pid, []byte(iin))
	h.RecordKey(&pid, []byte("canary-record"))
	h.Key(&pid, "referral", []byte("canary-referral"))
	random := k.PRF("demo")
	random("canary-label", []byte("canary-part"))
	subject := k.SubjectKey("demo")
	subject(pid)

	forms := secretForms(t, k)
	for name, secret := range map[string]any{
		"keyring": *k, "keyring pointer": k, "hasher": *h, "hasher pointer": h, "prf": random, "subject": subject,
		"signer": k.Signer(),
	} {
		for shape, value := range shapes(secret) {
			for _, text := range renderings(value) {
				for _, form := range forms {
					if strings.Contains(text, form) {
						t.Errorf("%s as %s shows a secret", name, shape)
					}
				}
			}
		}
	}
}

// A []byte in an unexported field does leak: the test can fail.
func TestLeakTestCanFail(t *testing.T) {
	k := vectorKeyring(t)
	type holder struct{ key []byte }
	found := false
	for _, text := range renderings(holder{k.key(slotInner)}) {
		for _, form := range secretForms(t, k) {
			found = found || strings.Contains(text, form)
		}
	}
	if !found {
		t.Error("a key in a field was not seen")
	}
}

// secretForms returns the first bytes of every key, and what was hashed, as fmt,
// JSON, hex and base64 would write them.
func secretForms(t *testing.T, k *Keyring) []string {
	t.Helper()
	forms := []string{iin, hex.EncodeToString([]byte(iin)), "canary-"}
	for _, s := range slots {
		key := k.key(s)[:8]
		// HMAC states hold the key xor a constant; ed25519 keys hold the seed.
		inner, outer := bytes.Clone(key), bytes.Clone(key)
		for i := range key {
			inner[i] ^= 0x36
			outer[i] ^= 0x5c
		}
		for _, b := range [][]byte{key, inner, outer} {
			decimal := fmt.Sprintf("%d", b) // [0 1 2]
			forms = append(forms, string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
				base64.RawStdEncoding.EncodeToString(b)[:10], strings.Trim(decimal, "[]"),
				strings.ReplaceAll(strings.Trim(decimal, "[]"), " ", ","), strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}"))
		}
	}
	return forms
}

func shapes(secret any) map[string]any {
	return map[string]any{
		"itself":           secret,
		"exported field":   struct{ Field any }{secret},
		"unexported field": struct{ field any }{secret},
		"slice":            []any{secret},
		"map value":        map[string]any{"key": secret},
		"map key":          map[any]string{&secret: "value"},
		"pointer in field": struct{ field *any }{&secret},
	}
}

func renderings(value any) []string {
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		texts = append(texts, fmt.Sprintf(verb, value))
	}
	encoded, err := json.Marshal(value)
	texts = append(texts, string(encoded), fmt.Sprint(err))
	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("event", slog.Any("value", value))
		texts = append(texts, b.String())
	}
	return texts
}
