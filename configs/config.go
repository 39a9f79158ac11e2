package configs

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/pana-exchange/pana/gateway"
)

// Config holds the settings of a gateway. gateway.yaml explains each. It holds no
// secret: paths of files that do.
type Config struct {
	Data       string        `mapstructure:"data"`
	Listen     string        `mapstructure:"listen"`
	Drain      time.Duration `mapstructure:"drain"`
	TLS        TLS           `mapstructure:"tls"`
	ClickHouse ClickHouse    `mapstructure:"clickhouse"`
	Engine     Engine        `mapstructure:"engine"`
	Keys       Keys          `mapstructure:"keys"`
	Limits     Limits        `mapstructure:"limits"`
	Inbox      Inbox         `mapstructure:"inbox"`
	Witness    Witness       `mapstructure:"witness"`
	KeyServer  KeyServer     `mapstructure:"keyserver"`
}

// KeyServer says where the key server is whose public key the keyring names.
type KeyServer struct {
	Address   string   `mapstructure:"address"`
	Token     string   `mapstructure:"token"` // file
	Authority string   `mapstructure:"authority"`
	Contracts []string `mapstructure:"contracts"` // whose batches may come blind
}

// Witness says who signs the ledger's checkpoints. Without a policy nobody does.
type Witness struct {
	Policy    string        `mapstructure:"policy"` // file, a C2SP tlog-policy
	Every     time.Duration `mapstructure:"every"`
	StopAfter time.Duration `mapstructure:"stop_after"`
}

// TLS names the files of the API's certificate and private key.
type TLS struct {
	Certificate string `mapstructure:"certificate"`
	Key         string `mapstructure:"key"`
}

// ClickHouse says where a ClickHouse of the operator's own is. Without addresses
// the gateway starts its engine.
type ClickHouse struct {
	Addresses []string      `mapstructure:"addresses"`
	Name      string        `mapstructure:"name"`
	Passwords Passwords     `mapstructure:"passwords"`
	TLS       ClickHouseTLS `mapstructure:"tls"`
}

// Passwords are files, each with the password of one ClickHouse user.
type Passwords struct {
	Admin   string `mapstructure:"admin"`
	Loader  string `mapstructure:"loader"`
	Builder string `mapstructure:"builder"`
	Reader  string `mapstructure:"reader"`
}

// ClickHouseTLS says when connections to ClickHouse use TLS.
type ClickHouseTLS struct {
	Mode      string `mapstructure:"mode"` // auto, always or never
	Authority string `mapstructure:"authority"`
}

// Engine holds the settings of the embedded engine.
type Engine struct {
	MaxMemory uint64 `mapstructure:"max_memory"` // bytes; 0 leaves it to the engine
}

// Keys names the keyring and the identity that opens it; see [Config.Keyring].
type Keys struct {
	Keyring  string `mapstructure:"keyring"`
	Identity string `mapstructure:"identity"`
	Officer  string `mapstructure:"officer"` // of a keyring that was sealed twice
}

// defaults has every key: viper finds in the environment only keys that it knows
// (viper issues 1699 and 2001).
var defaults = map[string]any{
	"data": "pana-data", "listen": "127.0.0.1:8080", "drain": 30 * time.Second,
	"tls.certificate": "", "tls.key": "",
	"clickhouse.addresses": []string{}, "clickhouse.name": "pana",
	"clickhouse.passwords.admin": "", "clickhouse.passwords.loader": "",
	"clickhouse.passwords.builder": "", "clickhouse.passwords.reader": "",
	"clickhouse.tls.mode": "auto", "clickhouse.tls.authority": "",
	"engine.max_memory": uint64(0),
	"keys.keyring":      "", "keys.identity": "", "keys.officer": "",
	"keyserver.address": "", "keyserver.token": "", "keyserver.authority": "", "keyserver.contracts": []string{},
	"witness.policy": "", "witness.every": time.Minute, "witness.stop_after": 4 * time.Hour,
	"limits.connections": 1024, "limits.header_bytes": 16 << 10, "limits.header_time": 10 * time.Second,
	"limits.idle": 10 * time.Second, "limits.pace_bytes": int64(16 << 10), "limits.answer_time": 30 * time.Second,
	"limits.json_bytes": int64(1 << 20), "limits.uploads": 8, "limits.uploads_of_agency": 4, "limits.bytes_at_once": int64(64 << 30),
	"limits.disk_reserve": int64(1 << 30), "limits.body_bytes": int64(16 << 30), "limits.inside_bytes": int64(64 << 30),
	"limits.ratio": 250, "limits.held_bytes": int64(1 << 30), "limits.rows": 10_000_000, "limits.columns": 256, "limits.row_bytes": int64(64 << 10),
	"inbox.keep": 24 * time.Hour, "inbox.oldest": 7 * 24 * time.Hour, "inbox.uploads": 16, "inbox.bytes": int64(64 << 30),
	"inbox.total": int64(256 << 30), "inbox.pieces": 1 << 16,
}

// minEngineMemory is what the engine needs to start.
const minEngineMemory = 256 << 20

// Load reads the settings: overrides (of flags, by key) before the environment
// (PANA_LISTEN, PANA_CLICKHOUSE_TLS_MODE, …) before the file before the defaults.
// An empty path means no file. It reports Invalid, naming the key and never the
// value, for anything that is unknown or wrong.
func Load(path string, overrides map[string]any) (*Config, error) {
	v := viper.New()
	for key, value := range defaults {
		v.SetDefault(key, value)
	}
	v.SetEnvPrefix("PANA")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	if path != "" {
		if err := readFile(v, path); err != nil {
			return nil, err
		}
	}
	for key, value := range overrides {
		if _, known := defaults[key]; !known {
			return nil, gateway.Errorf(gateway.Invalid, "there is no setting %q", key)
		}
		v.Set(key, value)
	}
	c := &Config{}
	if err := v.UnmarshalExact(c, strictly); err != nil {
		return nil, wrongSettings(err)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// strictly takes numbers from text, as the environment gives them, and converts
// nothing else: by default -1 would become a huge size and true a 1.
func strictly(d *mapstructure.DecoderConfig) {
	d.WeaklyTypedInput = false
	d.DecodeHook = mapstructure.ComposeDecodeHookFunc(
		whole, numbers, mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","),
	)
}

// readFile reads gateway.yaml. The YAML is looked at before viper sees it, because
// viper neither knows lines nor minds a key with no value.
func readFile(v *viper.Viper, path string) error {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return gateway.Errorf(gateway.Invalid, "the configuration file %s cannot be read", path)
	}
	found := &problems{}
	d := &document{file: filepath.Base(path), root: &yaml.Node{}, found: found}
	var strict map[string]any
	if err := errors.Join(yaml.Unmarshal(text, &strict), yaml.Unmarshal(text, d.root)); err != nil {
		found.add(d.file, yamlErrorLine(err), "is not a YAML mapping without doubled keys")
		return found.err()
	}
	if strict != nil {
		checkSettings(d.top(), "")
	}
	if err := found.err(); err != nil {
		return err
	}
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		return gateway.Errorf(gateway.Invalid, "%s: is not YAML", d.file)
	}
	return nil
}

// yamlErrorLine finds the line in an error of the YAML library, whose text may
// echo what a secret was pasted into.
func yamlErrorLine(err error) int {
	if m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line
	}
	return 1
}

// checkSettings notes keys that do not exist, and keys whose value is missing or
// of the wrong shape.
func checkSettings(at place, prefix string) {
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		name, value := at.node.Content[i], place{at.doc, at.node.Content[i+1]}
		key := prefix + name.Value
		standard, known := defaults[key]
		_, list := standard.([]string)
		known = known && !strings.Contains(name.Value, ".") // one way to write a key
		switch {
		case known && list != (value.node.Kind == yaml.SequenceNode), known && !list && value.node.Kind != yaml.ScalarNode:
			value.bad("%s has a value of the wrong shape", key)
		case known && !list && value.node.Tag == "!!null":
			value.bad("%s has no value; leave the key out to have the default", key)
		case known:
		case strings.Contains(name.Value, "."), !section(key):
			place{at.doc, name}.bad("unknown key %q", key)
		case value.node.Kind != yaml.MappingNode:
			value.bad("%s has no keys below it", key)
		default:
			checkSettings(value, key+".")
		}
	}
}

func section(key string) bool {
	for known := range defaults {
		if strings.HasPrefix(known, key+".") {
			return true
		}
	}
	return false
}

var sizePattern = regexp.MustCompile(`^(\d{1,12})(B|KiB|MiB|GiB|TiB)?$`)

// whole refuses fractions, which would be cut off, and durations without a unit,
// which would be nanoseconds.
func whole(from, to reflect.Type, value any) (any, error) {
	duration := reflect.TypeFor[time.Duration]()
	if from.Kind() == reflect.Float64 || (to == duration && from != duration && from.Kind() != reflect.String) {
		return nil, errors.New("not a whole number, or without a unit")
	}
	return value, nil
}

// numbers reads "16GiB" where a setting is a number of bytes, and "8" where it is
// any other number.
func numbers(from, to reflect.Type, value any) (any, error) {
	size := to == reflect.TypeFor[int64]() || to == reflect.TypeFor[uint64]()
	if from.Kind() != reflect.String || (!size && to.Kind() != reflect.Int) {
		return value, nil
	}
	m := sizePattern.FindStringSubmatch(reflect.ValueOf(value).String())
	if m == nil || (!size && m[2] != "") {
		return nil, errors.New("not a number")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := 10 * max(0, slices.Index([]string{"B", "KiB", "MiB", "GiB", "TiB"}, m[2]))
	if err != nil || n > (1<<62)>>shift {
		return nil, errors.New("too large")
	}
	return n << shift, nil
}

// wrongSettings names the keys that could not be decoded. The library's own text
// echoes values.
func wrongSettings(err error) error {
	var keys []string
	for _, m := range regexp.MustCompile(`'([a-z_.]+)'`).FindAllStringSubmatch(err.Error(), -1) {
		if _, known := defaults[m[1]]; known && !slices.Contains(keys, m[1]) {
			keys = append(keys, m[1])
		}
	}
	slices.Sort(keys)
	return gateway.Errorf(gateway.Invalid, "settings of the wrong type: %s", strings.Join(keys, ", "))
}

// Validate reports Invalid for the first setting that is wrong or unsafe.
func (c *Config) Validate() error {
	for _, check := range []func() error{c.validateListener, c.validateClickHouse, c.validateWitness, c.validateKeyServer, c.validateLimits} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func invalid(key, reason string) error { return gateway.Errorf(gateway.Invalid, "%s: %s", key, reason) }

func (c *Config) validateListener() error {
	switch {
	case c.Data == "":
		return invalid("data", "a data directory is required")
	case !validAddress(c.Listen, true):
		return invalid("listen", "must be address:port, such as 127.0.0.1:8080")
	case (c.TLS.Certificate == "") != (c.TLS.Key == ""):
		return invalid("tls", "certificate and key belong together; set both or none")
	case !loopback(c.Listen) && c.TLS.Certificate == "":
		return invalid("listen", "an address beyond this machine needs tls.certificate and tls.key")
	case c.Drain < 0 || c.Drain > time.Hour:
		return invalid("drain", "must be from 0s to 1h")
	}
	return nil
}

func (c *Config) validateWitness() error {
	switch {
	case c.Witness.Every < time.Second || c.Witness.Every > time.Hour:
		return invalid("witness.every", "must be from 1s to 1h")
	case c.Witness.StopAfter < c.Witness.Every || c.Witness.StopAfter > 24*time.Hour:
		return invalid("witness.stop_after", "must be from witness.every to 24h")
	}
	return nil
}

func (c *Config) validateKeyServer() error {
	if (c.KeyServer.Address == "") != (c.KeyServer.Token == "") || c.KeyServer.Authority != "" && c.KeyServer.Address == "" {
		return invalid("keyserver", "address and token belong together; set both or none")
	}
	return nil
}

// validAddress reports whether the text is host:port. A listener may leave the
// host out and may ask for any free port.
func validAddress(address string, listener bool) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || (host == "" && !listener) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (n > 0 || listener)
}

// loopback reports whether an address is of this machine alone. Names other than
// localhost are not looked up: what they mean can change.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.Unmap().IsLoopback())
}

// Keyring returns the paths of the keyring and of the identity that opens it.
func (c *Config) Keyring() (keyring, identity string) {
	keyring, identity = c.Keys.Keyring, c.Keys.Identity
	if keyring == "" {
		keyring = filepath.Join(c.Data, "keyring.age")
	}
	if identity == "" {
		identity = filepath.Join(c.Data, "identity.txt")
	}
	return keyring, identity
}
