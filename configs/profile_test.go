package configs

import (
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// withProfile is the tiny definition with its line "v: 60" replaced.
func withProfile(t *testing.T, lines string) (*gateway.Definition, error) {
	t.Helper()
	files := small(t)
	text := strings.Replace(string(files["cubes/tiny.yaml"].Data), "v: 60\n", lines, 1)
	files["cubes/tiny.yaml"].Data = []byte(text)
	contracts, err := LoadContracts(files)
	if err != nil {
		t.Fatal(err)
	}
	return LoadDefinition(files, "tiny", contracts)
}

func TestProfiles(t *testing.T) {
	for lines, want := range map[string]gateway.Profile{
		"v: 60\n": gateway.Interactive, "v: 60\nprofile: interactive\n": gateway.Interactive,
		"profile: standing\nstanding: {mode: exact}\n":                                  gateway.Standing,
		"v: 50\nprofile: standing\nstanding: {mode: additive}\n":                        gateway.Standing,
		"profile: public\npublic: {rho: 0.1, yearly: 0.30, delta: 0.000001}\n":          gateway.Public,
		"profile: public\npublic: {rho: '0.1', yearly: '1', delta: '0.000000000001'}\n": gateway.Public,
	} {
		d, err := withProfile(t, lines)
		if err != nil || d.Profile != want || (d.Standing != nil) != (want == gateway.Standing) || (d.Public != nil) != (want == gateway.Public) {
			t.Errorf("%q: %v", lines, err)
		}
		if want == gateway.Public && (d.Public.Rho != "0.1" || !strings.HasPrefix(d.Public.Delta, "0.00000")) {
			t.Errorf("%q is read as %+v", lines, d.Public)
		}
	}
	for lines, want := range map[string]string{
		"v: 60\nprofile: secret\n":                            "profile \"secret\" is none of interactive, standing, public",
		"profile: standing\n":                                 "go with the profiles",
		"v: 60\nstanding: {mode: exact}\n":                    "go with the profiles",
		"profile: public\nstanding: {mode: exact}\n":          "go with the profiles",
		"profile: standing\nstanding: {mode: rounded}\n":      "neither exact nor additive",
		"v: 50\nprofile: standing\nstanding: {mode: exact}\n": "do not have that variance",
		"profile: standing\nstanding: {mode: additive}\n":     "v must be 50 or more",
		"v: 40\n":   "v must be 50 or more",
		"v: .inf\n": "v must be 50 or more",
		"v: .nan\n": "v must be 50 or more",
		"profile: public\npublic: {rho: 1e-1, yearly: 0.1, delta: 0.000001}\n":       "rho is a plain decimal",
		"profile: public\npublic: {rho: 0.1, yearly: -1, delta: 0.000001}\n":         "yearly is a plain decimal",
		"profile: public\npublic: {rho: 0.1, yearly: 0.1}\n":                         "delta is a plain decimal",
		"v: 50\nprofile: public\npublic: {rho: 0.1, yearly: 0.1, delta: 0.000001}\n": "do not have that variance",
		"profile: public\npublic: {rho: 0.1, yearly: 0.1, delta: 0.1, epsilon: 1}\n": "unknown key",
	} {
		_, err := withProfile(t, lines)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", lines, err)
		}
	}
}
