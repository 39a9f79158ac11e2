package configs

import (
	"encoding/pem"
	"errors"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pana-exchange/pana/gateway"
)

// canary stands for a secret that was written where it does not belong.
const canary = "kanareika-870512"

// gateway.yaml has every key of Config and no other, each with a comment and with
// its default.
func TestShippedSettings(t *testing.T) {
	known := slices.Sorted(maps.Keys(defaults))
	if fields := keysOf(reflect.TypeFor[Config](), ""); !slices.Equal(fields, known) {
		t.Errorf("Config and defaults differ:\n%s", cmp.Diff(fields, known))
	}
	text, err := os.ReadFile("gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	if keys := commentedKeys(t, root.Content[0], ""); !slices.Equal(keys, known) {
		t.Errorf("gateway.yaml and Config differ:\n%s", cmp.Diff(keys, known))
	}
	shipped, err := Load("gateway.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	standard, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(standard, shipped); diff != "" {
		t.Errorf("gateway.yaml does not have the defaults:\n%s", diff)
	}
}

func keysOf(s reflect.Type, prefix string) []string {
	var keys []string
	for field := range s.Fields() {
		key := prefix + field.Tag.Get("mapstructure")
		if field.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(field.Type, key+".")...)
		} else {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func commentedKeys(t *testing.T, n *yaml.Node, prefix string) []string {
	t.Helper()
	var keys []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := prefix + n.Content[i].Value
		if n.Content[i+1].Kind == yaml.MappingNode {
			keys = append(keys, commentedKeys(t, n.Content[i+1], key+".")...)
			continue
		}
		if n.Content[i].HeadComment == "" {
			t.Errorf("gateway.yaml does not say what %s is", key)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func write(tb testing.TB, name, text string, mode os.FileMode) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		tb.Fatal(err)
	}
	return file
}

// Flags come before the environment, that before the file, that before defaults.
func TestPrecedence(t *testing.T) {
	file := write(t, "gateway.yaml", "data: of-file\nlisten: 127.0.0.1:1\ndrain: 1m\nengine: {max_memory: 2GiB}\n", 0o600)
	t.Setenv("PANA_LISTEN", "127.0.0.1:2")
	t.Setenv("PANA_DRAIN", "5s")
	t.Setenv("PANA_LIMITS_BODY_BYTES", "3MiB")
	t.Setenv("PANA_LIMITS_UPLOADS", "3")
	t.Setenv("PANA_CLICKHOUSE_TLS_MODE", "never")
	c, err := Load(file, map[string]any{"drain": "9s"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "of-file" || c.Listen != "127.0.0.1:2" || c.Drain != 9*time.Second || c.Engine.MaxMemory != 2<<30 ||
		c.Limits.BodyBytes != 3<<20 || c.Limits.Uploads != 3 || c.ClickHouse.TLS.Mode != "never" || c.Limits.Rows != 10_000_000 {
		t.Errorf("got %+v", c)
	}
}

// Each key can be set in the environment: viper sees none that has no default.
func TestEveryKeyInTheEnvironment(t *testing.T) {
	passwords := map[string]string{}
	for _, user := range []string{"ADMIN", "LOADER", "BUILDER", "READER"} {
		passwords["PANA_CLICKHOUSE_PASSWORDS_"+user] = "file"
	}
	values := map[string]string{
		"PANA_DATA": "d", "PANA_LISTEN": "0.0.0.0:9", "PANA_DRAIN": "2s", "PANA_TLS_CERTIFICATE": "c", "PANA_TLS_KEY": "k",
		"PANA_CLICKHOUSE_ADDRESSES": "a:1,b:2", "PANA_CLICKHOUSE_NAME": "n", "PANA_CLICKHOUSE_TLS_MODE": "always",
		"PANA_CLICKHOUSE_TLS_AUTHORITY": "ca", "PANA_ENGINE_MAX_MEMORY": "1GiB", "PANA_KEYS_KEYRING": "r",
		"PANA_KEYS_IDENTITY": "i", "PANA_KEYS_OFFICER": "o", "PANA_LIMITS_UPLOADS": "2", "PANA_LIMITS_BODY_BYTES": "4096", "PANA_LIMITS_ROWS": "5",
		"PANA_WITNESS_POLICY": "w", "PANA_WITNESS_EVERY": "2s", "PANA_WITNESS_STOP_AFTER": "1h",
		"PANA_LIMITS_CONNECTIONS": "20", "PANA_LIMITS_HEADER_BYTES": "8KiB", "PANA_LIMITS_HEADER_TIME": "2s", "PANA_LIMITS_IDLE": "3s",
		"PANA_LIMITS_PACE_BYTES": "1", "PANA_LIMITS_ANSWER_TIME": "4s", "PANA_LIMITS_JSON_BYTES": "2MiB", "PANA_LIMITS_UPLOADS_OF_AGENCY": "1",
		"PANA_LIMITS_BYTES_AT_ONCE": "5MiB", "PANA_LIMITS_DISK_RESERVE": "6MiB", "PANA_LIMITS_INSIDE_BYTES": "7MiB", "PANA_LIMITS_RATIO": "8",
		"PANA_LIMITS_HELD_BYTES": "9MiB", "PANA_LIMITS_COLUMNS": "10", "PANA_LIMITS_ROW_BYTES": "11KiB",
		"PANA_INBOX_KEEP": "1h", "PANA_INBOX_OLDEST": "2h", "PANA_INBOX_UPLOADS": "3", "PANA_INBOX_BYTES": "4MiB", "PANA_INBOX_TOTAL": "5MiB",
		"PANA_INBOX_PIECES":      "17",
		"PANA_KEYSERVER_ADDRESS": "https://k", "PANA_KEYSERVER_TOKEN": "t", "PANA_KEYSERVER_AUTHORITY": "a", "PANA_KEYSERVER_CONTRACTS": "police,health",
	}
	maps.Copy(values, passwords)
	if len(values) != len(defaults) {
		t.Errorf("%d of %d keys are tried", len(values), len(defaults))
	}
	for name, value := range values {
		t.Setenv(name, value)
	}
	c, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Data: "d", Listen: "0.0.0.0:9", Drain: 2 * time.Second, TLS: TLS{"c", "k"},
		ClickHouse: ClickHouse{[]string{"a:1", "b:2"}, "n", Passwords{"file", "file", "file", "file"}, ClickHouseTLS{"always", "ca"}},
		Engine:     Engine{1 << 30}, Keys: Keys{"r", "i", "o"},
		Limits: Limits{
			Connections: 20, HeaderBytes: 8 << 10, HeaderTime: 2 * time.Second, Idle: 3 * time.Second, PaceBytes: 1, AnswerTime: 4 * time.Second,
			JSONBytes: 2 << 20, Uploads: 2, UploadsOfOne: 1, BytesAtOnce: 5 << 20, DiskReserve: 6 << 20, BodyBytes: 4096, InsideBytes: 7 << 20,
			Ratio: 8, HeldBytes: 9 << 20, Rows: 5, Columns: 10, RowBytes: 11 << 10,
		},
		Inbox:   Inbox{time.Hour, 2 * time.Hour, 3, 4 << 20, 5 << 20, 17},
		Witness: Witness{"w", 2 * time.Second, time.Hour}, KeyServer: KeyServer{"https://k", "t", "a", []string{"police", "health"}},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

// What is unknown, misshapen or unsafe is refused by key, and no value is echoed:
// it may be a secret in the wrong place.
func TestRefusedSettings(t *testing.T) {
	const house = "clickhouse: {addresses: [\"h:9000\"], passwords: {admin: a, loader: b, builder: c, reader: d}}\n"
	for _, c := range []struct{ text, want string }{
		{"lisen: " + canary, `gateway.yaml:1: unknown key "lisen"`},
		{"data: d\ntls:\n  cert: " + canary, `gateway.yaml:3: unknown key "tls.cert"`},
		{"limits.uploads: 3", `gateway.yaml:1: unknown key "limits.uploads"`},
		{"Listen: 127.0.0.1:1", `gateway.yaml:1: unknown key "Listen"`},
		{"data: d\ndata: e", "gateway.yaml:2: is not a YAML mapping without doubled keys"},
		{"tls: {key: a, key: b}", "gateway.yaml:1: is not a YAML mapping without doubled keys"},
		{canary, "gateway.yaml:1: is not a YAML mapping"},
		{"data: [" + canary, "is not a YAML mapping"},
		{"data:", "gateway.yaml:1: data has no value"},
		{"limits:", "gateway.yaml:1: limits has no keys below it"},
		{"limits: 3", "gateway.yaml:1: limits has no keys below it"},
		{"listen: [" + canary + "]", "gateway.yaml:1: listen has a value of the wrong shape"},
		{"clickhouse: {addresses: " + canary + "}", "gateway.yaml:1: clickhouse.addresses has a value of the wrong shape"},
		{"drain: " + canary, "settings of the wrong type: drain"},
		{"drain: 30", "settings of the wrong type: drain"},
		{"drain: 2h", "drain: must be from 0s to 1h"},
		{"drain: -1s", "drain: must be from 0s to 1h"},
		{"limits: {uploads: " + canary + "}", "settings of the wrong type: limits.uploads"},
		{"limits: {uploads: 0}", "limits.uploads: must be from 1 to 1,000"},
		{"limits: {uploads: -4}", "limits.uploads: must be from 1 to 1,000"},
		{"limits: {rows: 0}", "limits.rows: must be 1 or more"},
		{"limits: {body_bytes: 12XB}", "settings of the wrong type: limits.body_bytes"},
		{"limits: {body_bytes: 1KB}", "settings of the wrong type: limits.body_bytes"},
		{"limits: {body_bytes: 999999999999TiB}", "settings of the wrong type: limits.body_bytes"},
		{"limits: {body_bytes: 5}", "limits.body_bytes: must be 1KiB or more"},
		{"engine: {max_memory: 5MiB}", "engine.max_memory: must be 256MiB or more"},
		{"engine: {max_memory: -1}", "settings of the wrong type: engine.max_memory"},
		{"limits: {uploads: true}", "settings of the wrong type: limits.uploads"},
		{"limits: {uploads: 3KiB}", "settings of the wrong type: limits.uploads"},
		{"limits: {uploads: 1.5}", "settings of the wrong type: limits.uploads"},
		{`data: ""`, "data: a data directory is required"},
		{"listen: localhost", "listen: must be address:port"},
		{"listen: 8080", "settings of the wrong type: listen"},
		{"listen: 127.0.0.1:99999", "listen: must be address:port"},
		{"listen: 0.0.0.0:8080", "listen: an address beyond this machine needs tls.certificate and tls.key"},
		{"listen: :8080", "listen: an address beyond this machine"},
		{`listen: "[::]:8080"`, "listen: an address beyond this machine"},
		{"listen: gateway.example:8080", "listen: an address beyond this machine"},
		{"tls: {certificate: c}", "tls: certificate and key belong together"},
		{"tls: {key: c}", "tls: certificate and key belong together"},
		{"clickhouse: {name: Pana}", "clickhouse.name: must match"},
		{"clickhouse: {tls: {mode: sometimes}}", "clickhouse.tls.mode: must be auto, always or never"},
		{"clickhouse: {addresses: [h]}", "clickhouse.addresses: must be host:port"},
		{"clickhouse: {addresses: [\":9000\"]}", "clickhouse.addresses: must be host:port"},
		{"clickhouse: {addresses: [\"h:9000\"]}", "clickhouse.passwords.admin: a file is required"},
		{strings.Replace(house, ", reader: d", "", 1), "clickhouse.passwords.reader: a file is required"},
		{"clickhouse: {passwords: {admin: " + canary + "}}", "clickhouse.passwords.admin: is set, but clickhouse.addresses is not"},
	} {
		_, err := Load(write(t, "gateway.yaml", c.text, 0o600), nil)
		if err == nil || !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the error echoes the value: %v", c.text, err)
		}
	}
	if _, err := Load("", map[string]any{"lisen": "x"}); !errors.Is(err, gateway.Invalid) {
		t.Errorf("an unknown override: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, gateway.Invalid) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestAcceptedSettings(t *testing.T) {
	for _, text := range []string{
		"", "# nothing\n", "listen: 127.0.0.1:0", `listen: "[::1]:8080"`, "listen: localhost:80", `listen: "127.9.9.9:1"`,
		"listen: 0.0.0.0:443\ntls: {certificate: c, key: k}", "listen: :443\ntls: {certificate: c, key: k}",
		"clickhouse: {addresses: [\"h:9000\"], passwords: {admin: a, loader: b, builder: c, reader: d}}",
		"drain: 0s",
	} {
		if _, err := Load(write(t, "gateway.yaml", text, 0o600), nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestKeyring(t *testing.T) {
	keyring, identity := (&Config{Data: "d"}).Keyring()
	if keyring != filepath.Join("d", "keyring.age") || identity != filepath.Join("d", "identity.txt") {
		t.Errorf("%s and %s", keyring, identity)
	}
	keyring, identity = (&Config{Data: "d", Keys: Keys{"x", "y", ""}}).Keyring()
	if keyring != "x" || identity != "y" {
		t.Errorf("%s and %s", keyring, identity)
	}
}

// A password is read from a file that only its owner can read, and is never in an
// error.
func TestClickHousePasswords(t *testing.T) {
	good := write(t, "good", "geheim\n", 0o600)
	c := &Config{ClickHouse: ClickHouse{Passwords: Passwords{good, good, good, good}}}
	password, err := c.ClickHousePasswords()
	if err != nil {
		t.Fatal(err)
	}
	if password("reader") != "geheim" || password("root") != "" {
		t.Error("not the password of the file")
	}
	for _, bad := range []string{
		write(t, "shown", canary, 0o644), write(t, "empty", "\n", 0o600), filepath.Join(t.TempDir(), canary), t.TempDir(), "",
	} {
		c.ClickHouse.Passwords.Builder = bad
		_, err := c.ClickHousePasswords()
		if err == nil || !strings.HasPrefix(err.Error(), "clickhouse.passwords.builder: ") || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", filepath.Base(bad), err)
		}
	}
}

func TestClickHouseTLS(t *testing.T) {
	for _, c := range []struct {
		mode, address string
		want          bool
	}{
		{"auto", "127.0.0.1:9000", false},
		{"auto", "[::1]:9000", false},
		{"auto", "10.0.0.1:9000", true},
		{"auto", "clickhouse.example:9440", true},
		{"always", "127.0.0.1:9000", true},
		{"never", "10.0.0.1:9000", false},
	} {
		config := &Config{ClickHouse: ClickHouse{Addresses: []string{"127.0.0.1:1", c.address}, TLS: ClickHouseTLS{Mode: c.mode}}}
		got, err := config.ClickHouseTLS()
		if err != nil || (got != nil) != c.want {
			t.Errorf("%s to %s: TLS %v, want %v (%v)", c.mode, c.address, got != nil, c.want, err)
		}
		if got != nil && (got.InsecureSkipVerify || got.RootCAs != nil) {
			t.Errorf("%s to %s does not check the server's certificate", c.mode, c.address)
		}
	}
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := &Config{ClickHouse: ClickHouse{TLS: ClickHouseTLS{Mode: "always", Authority: write(t, "ca.pem", string(authority), 0o644)}}}
	got, err := config.ClickHouseTLS()
	if err != nil || got.RootCAs == nil {
		t.Errorf("with an authority: %v, %v", got, err)
	}
	for _, bad := range []string{write(t, "not.pem", "x", 0o644), filepath.Join(t.TempDir(), "none")} {
		config.ClickHouse.TLS.Authority = bad
		if _, err := config.ClickHouseTLS(); !errors.Is(err, gateway.Invalid) {
			t.Errorf("with no authority in the file: %v", err)
		}
	}
}

// No limit can be negative, nothing, or beyond all measure: each is refused, by its
// name, and its value is not repeated (trust.md 6.4, B84).
func TestLimitsHaveBounds(t *testing.T) {
	tried := 0
	for key, standard := range defaults {
		section, name, _ := strings.Cut(key, ".")
		if section != "limits" && section != "inbox" {
			continue
		}
		bad := []string{"-1", "0", "9000000000000000000"}
		if _, is := standard.(time.Duration); is {
			bad = []string{"-1s", "0s", "9000h", "5"}
		}
		for _, value := range append(bad, "many", "1.5", "", "[]") {
			_, err := Load(write(t, "gateway.yaml", section+":\n  "+name+": "+value+"\n", 0o600), nil)
			if err == nil || !strings.Contains(err.Error(), key) || value == "many" && strings.Contains(err.Error(), value) {
				t.Errorf("%s: %q is taken, or not named: %v", key, value, err)
			}
			tried++
		}
	}
	if tried < 150 {
		t.Errorf("%d settings were tried", tried)
	}
	for _, text := range []string{"inbox: {keep: 48h, oldest: 24h}", "inbox: {total: 2MiB}"} {
		_, err := Load(write(t, "gateway.yaml", text+"\n", 0o600), nil)
		if err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
