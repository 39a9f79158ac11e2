package synth

import "github.com/pana-exchange/pana/gateway"

// A draw fills a coded cell from a table, in a share of the records.
type draw struct {
	field  gateway.FieldName
	filled float64
	codes  table
}

// Codes that several places draw from.
var (
	citizenships = table{{"KZ", 972}, {"OTHER", 24}, {"STATELESS", 4}}
	disabilities = table{{"Y", 4}, {"N", 80}, {"U", 16}}
	bases        = table{{"LAW", 58}, {"STAT", 26}, {"CONSENT", 11}, {"VITAL", 5}}
	anonymous    = table{{"ANON_CONTACT", 80}, {"REFUSED", 14}, {"UNKNOWN", 6}}
	unnumbered   = table{{"NEWBORN", 35}, {"NON_CITIZEN", 45}, {"NOT_COLLECTED", 20}}
	calls        = table{{"CHILD", 60}, {"ABOUT_CHILD", 40}}
	stages       = [...]string{"FILED", "HEARING", "JUDGMENT"}
	stageEvents  = [...]string{"FILING", "HEARING", "DECISION"}
	genders      = table{{"F", 52}, {"M", 40}, {"_U", 8}}
)

// firstKinds are the types of event with which a sector hears of a child.
var firstKinds = [sectors]table{
	police:    {{"REPORT", 78}, {"DETECTION", 18}, {"PROTECTION", 4}},
	health:    {{"CONTACT", 60}, {"ADMISSION", 20}, {"SCREENING", 20}},
	education: {{"INCIDENT", 55}, {"SIGNAL", 30}, {"DISCLOSURE", 15}},
	social:    {{"REFERRAL_RECEIVED", 60}, {"ASSESSMENT", 30}, {"SERVICE_START", 10}},
	justice:   {{"FILING", 1}},
	helpline:  {{"CONTACT", 90}, {"CRISIS", 10}},
}

// violenceOf is what happens to boys and to girls, as codes of ICVAC, level 1.
func violenceOf(male bool) table {
	if male {
		return table{{"02", 56}, {"03", 5}, {"04", 18}, {"05", 19}, {"06", 2}}
	}
	return table{{"02", 43}, {"03", 17}, {"04", 21}, {"05", 17}, {"06", 2}}
}

// laws are the articles under which each type of violence is registered.
var laws = map[string]table{
	"02": {{"KOAP-73", 45}, {"UK-108-1", 18}, {"UK-109-1", 20}, {"UK-110", 10}, {"UK-107", 5}, {"UK-106", 2}},
	"03": {{"UK-120", 25}, {"UK-121", 35}, {"UK-122", 15}, {"UK-123", 8}, {"UK-124", 14}, {"UK-144", 3}},
	"04": {{"KOAP-73", 55}, {"UK-115", 20}, {"KOAP-127-2", 25}},
	"05": {{"KOAP-127", 70}, {"UK-140", 22}, {"UK-141", 8}},
	"06": {{"UK-128", 30}, {"UK-134", 20}, {"UK-135", 20}, {"UK-115", 30}},
}

// bullyingLaw is a law that exists from a day on; before, the other is used.
const (
	bullyingLaw  = "KOAP-127-2"
	bullyingElse = "KOAP-73"
)

var bullyingFrom, _ = gateway.CivilDay(2024, 6, 16)

// offences are those of children in conflict with the law.
var offences = table{{"UK-107", 30}, {"UK-108-1", 30}, {"UK-109-1", 25}, {"UK-106", 15}}

// injuries are main diagnoses by type of violence, and causes its external
// causes.
var (
	injuries = map[string]table{
		"02": {{"S00.0", 20}, {"S06.0", 15}, {"S52.5", 10}, {"T14.0", 20}, {"T74.1", 35}},
		"03": {{"T74.2", 60}, {"Z04", 25}, {"F43.1", 15}},
		"04": {{"F43.2", 50}, {"T74.3", 30}, {"F93", 20}},
		"05": {{"T74.0", 45}, {"E46", 20}, {"R62.8", 25}, {"D50.9", 10}},
		"06": {{"T74.8", 60}, {"F43.0", 40}},
	}
	causes = map[string]table{
		"02": {{"Y04", 50}, {"Y07.1", 30}, {"Y00", 10}, {"X99", 10}},
		"03": {{"Y05", 80}, {"Y07.2", 20}},
		"04": {{"Y07.9", 100}},
		"05": {{"Y06.1", 90}, {"Y06.9", 10}},
		"06": {{"Y08", 60}, {"Y09", 40}},
	}
)

// schoolSignals are incidents at school by type of violence.
var schoolSignals = map[string]table{
	"02": {{"BULLYING", 45}, {"HOME_DISCLOSURE", 40}, {"STAFF_VIOLENCE", 15}},
	"03": {{"HOME_DISCLOSURE", 60}, {"CYBERBULLYING", 20}, {"OTHER", 20}},
	"04": {{"BULLYING", 50}, {"CYBERBULLYING", 30}, {"SELF_HARM_SIGNAL", 20}},
	"05": {{"HOME_DISCLOSURE", 40}, {"OTHER", 60}},
	"06": {{"OTHER", 100}},
}

// callTopics are categories of contacts by type of violence.
var callTopics = map[string]table{
	"02": {{"PHYSICAL_VIOLENCE", 50}, {"DOMESTIC_VIOLENCE", 30}, {"FAMILY", 20}},
	"03": {{"SEXUAL_VIOLENCE", 60}, {"ONLINE_SEXUAL", 40}},
	"04": {{"EMOTIONAL_VIOLENCE", 30}, {"BULLYING", 35}, {"MENTAL_HEALTH", 25}, {"SCHOOL", 10}},
	"05": {{"NEGLECT", 50}, {"BASIC_NEEDS", 30}, {"FAMILY", 20}},
	"06": {{"TRAFFICKING", 20}, {"CHILD_LABOUR", 40}, {"LEGAL", 40}},
}

// draws are the cells that depend on nothing else.
var draws = [sectors][]draw{
	police: {
		{"perpetrator_relationship", 0.85, table{{"FATHER", 25}, {"STEP_PARENT", 12}, {"MOTHER", 12}, {"CLASSMATE", 12}, {"OTHER_RELATIVE", 10}, {"NEIGHBOUR", 8}, {"STRANGER", 12}, {"UNKNOWN", 9}}},
		{"setting", 0.90, table{{"HOME", 52}, {"STREET", 18}, {"SCHOOL", 14}, {"ONLINE", 8}, {"INSTITUTION", 3}, {"OTHER", 5}}},
		{"report_channel", 1, table{{"102", 45}, {"111", 8}, {"PERSON", 22}, {"SCHOOL", 9}, {"HOSPITAL", 8}, {"ONLINE", 5}, {"PATROL", 3}}},
		{"injury_level", 0.7, table{{"NONE", 45}, {"MINOR", 38}, {"MODERATE", 13}, {"SEVERE", 4}}},
		{"perpetrator_sex", 0.8, table{{"M", 80}, {"F", 20}}},
		{"perpetrator_age_band", 0.7, table{{"0_11", 3}, {"12_17", 18}, {"18_25", 14}, {"26_40", 38}, {"41_60", 24}, {"61", 3}}},
		{"pretrial_outcome", 0.6, table{{"REGISTERED", 30}, {"REFUSED", 20}, {"DISCONTINUED", 18}, {"TO_COURT", 20}, {"ADMINISTRATIVE", 12}}},
	},
	health: {
		{"perpetrator_relationship", 0.3, table{{"CARER", 40}, {"PEER", 20}, {"UNKNOWN", 40}}},
		{"setting", 0.5, table{{"HOME", 55}, {"STREET", 15}, {"SCHOOL", 15}, {"UNKNOWN", 15}}},
		{"encounter_type", 1, table{{"ER", 40}, {"OUTPATIENT", 32}, {"INPATIENT", 14}, {"FORENSIC", 8}, {"SCHOOL_NURSE", 6}}},
		{"forensic_exam", 0.6, table{{"Y", 25}, {"N", 60}, {"U", 15}}},
		{"discharge_outcome", 0.7, table{{"HOME", 84}, {"SHELTER", 5}, {"TRANSFERRED", 8}, {"OTHER", 3}}},
	},
	education: {
		{"perpetrator_relationship", 0.5, table{{"CLASSMATE", 55}, {"TEACHER", 8}, {"FATHER", 15}, {"MOTHER", 12}, {"UNKNOWN", 10}}},
		{"setting", 0.8, table{{"SCHOOL", 62}, {"HOME", 22}, {"ONLINE", 16}}},
	},
	social: {
		{"perpetrator_relationship", 0.2, table{{"CARER", 60}, {"RELATIVE", 20}, {"UNKNOWN", 20}}},
		{"risk_level", 0.8, table{{"A", 10}, {"B", 20}, {"C", 30}, {"D", 25}, {"E", 15}}},
		{"need_codes", 0.8, table{{"ABUSE", 30}, {"NEGLECT", 16}, {"FAMILY_CONFLICT", 14}, {"LOW_INCOME", 18}, {"ABUSE|FAMILY_CONFLICT", 10}, {"HOUSING|LOW_INCOME", 6}, {"DISABILITY", 6}}},
		{"care_arrangement", 0.7, table{{"PARENTS", 55}, {"ONE_PARENT", 25}, {"RELATIVES", 10}, {"GUARDIAN", 5}, {"RESIDENTIAL", 5}}},
	},
	justice: {
		{"perpetrator_relationship", 0.6, table{{"FATHER", 30}, {"STEP_PARENT", 18}, {"STRANGER", 22}, {"NEIGHBOUR", 15}, {"OTHER_RELATIVE", 15}}},
		{"setting", 0.6, table{{"HOME", 60}, {"STREET", 25}, {"SCHOOL", 15}}},
		{"child_friendly_measure", 0.8, table{{"PSYCHOLOGIST", 30}, {"PSYCHOLOGIST|LAWYER", 25}, {"DEPOSITED_TESTIMONY", 15}, {"VIDEO", 10}, {"NONE", 20}}},
	},
	helpline: {
		{"perpetrator_relationship", 0.4, table{{"MOTHER", 20}, {"FATHER", 30}, {"CLASSMATE", 30}, {"TEACHER", 10}, {"UNKNOWN", 10}}},
		{"setting", 0.6, table{{"HOME", 45}, {"SCHOOL", 35}, {"ONLINE", 20}}},
		{"channel", 1, table{{"QR_FORM", 70}, {"PHONE", 18}, {"CHAT", 7}, {"MESSENGER", 5}}},
		{"risk_level", 0.8, table{{"LOW", 45}, {"MEDIUM", 35}, {"HIGH", 16}, {"IMMINENT", 4}}},
		{"action_taken", 0.9, table{{"INFO", 30}, {"COUNSELLED", 40}, {"COUNSELLED|REFERRED", 15}, {"INFO|COUNSELLED", 10}, {"EMERGENCY", 5}}},
	},
}

// services, closures and orders are drawn where a date makes them necessary.
var (
	services  = table{{"PSYCHOSOCIAL", 26}, {"FAMILY_SUPPORT", 18}, {"MATERIAL", 13}, {"CHILD_PROTECTION", 10}, {"HEALTH", 7}, {"LEGAL", 6}, {"SHELTER", 6}, {"REHABILITATION", 5}, {"EDUCATION", 4}, {"FAMILY_MEDIATION", 3}, {"LIVELIHOOD", 1}, {"REGISTRATION", 1}}
	statuses  = table{{"STARTED", 45}, {"IMPLEMENTED", 45}, {"NOT_IMPLEMENTED", 10}}
	unstarted = table{{"PLANNED", 60}, {"DECLINED", 20}, {"UNAVAILABLE", 20}}
	closures  = table{{"COMPLETED", 45}, {"SAFE", 25}, {"MOVED", 12}, {"NO_CONTACT", 10}, {"REFUSED", 8}}
	orders    = table{{"ISSUED", 85}, {"EXTENDED", 10}, {"BREACHED", 5}}
	roles     = table{{"VICTIM", 78}, {"WITNESS", 12}, {"IN_CONFLICT", 10}}
	outcomes  = table{{"CONVICTED", 62}, {"ACQUITTED", 5}, {"DISCONTINUED", 21}, {"SETTLED", 12}}
	colleges  = table{{"SCHOOL", 70}, {"COLLEGE", 30}}
	pupils    = table{{"SCHOOL", 94}, {"BOARDING", 4}, {"SPECIAL", 2}}
)
