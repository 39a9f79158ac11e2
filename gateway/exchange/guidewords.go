package exchange

import (
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

// The words of a guide. Those in Kazakh and Russian are the project's own and
// provisional: a native speaker of the sector must review them before use.

// say puts a sentence into the language, with what it names.
func (g *guiding) say(t gateway.Text, args ...any) string {
	if len(args) == 0 {
		return t.In(g.lang)
	}
	return fmt.Sprintf(t.In(g.lang), args...)
}

var wordGrains = map[gateway.Grain]gateway.Text{
	gateway.Children: {
		KK: "балалар: әрқайсысы өзі жататын әр ұяшықта бір рет", RU: "дети: каждый один раз в каждой ячейке, к которой относится",
		EN: "children: each once in every cell that it belongs to",
	},
	gateway.Events: {
		KK: "балалар туралы оқиғалар және олардағы балалар", RU: "события с детьми и дети, с которыми они произошли",
		EN: "events about children, and the children whom they are about",
	},
}

var wordMeasures = map[gateway.Measure]gateway.Text{
	gateway.CountChildren: {
		KK: "Ұяшықтағы әртүрлі балалар саны. Баланың нөмірі де, кілті де жоқ жазба ешбір бала ретінде есептелмейді.",
		RU: "Число разных детей в ячейке. Запись без номера и ключа ребёнка не считается ни одним ребёнком.",
		EN: "The number of distinct children in the cell. A record without a child's number or key counts as no child.",
	},
	gateway.CountRecords: {
		KK: "Балалар туралы жазбалар саны; бір бала туралы тым көп жазба қысқартылады.",
		RU: "Число записей о детях; слишком большое число записей об одном ребёнке ограничивается.",
		EN: "The number of records about children; where one child has very many, they are cut off.",
	},
}

var (
	wordSum = gateway.Text{
		KK: "%s қосындысы, %s (%s): әр бала %d мен %d аралығында бір рет; %d дейін дөңгелектеледі.",
		RU: "Сумма: %s, %s (%s): каждый ребёнок один раз, от %d до %d; округляется до %d.",
		EN: "The sum of %s, %s (%s): each child once, from %d to %d; rounded to %d.",
	}
	wordMedian = gateway.Text{
		KK: "«%s» медианасы: тек жарияланған сандардан жасалады.", RU: "Медиана «%s»: только из опубликованных чисел.",
		EN: "The median of “%s”: made of published counts alone.",
	}
	wordQuantile = gateway.Text{
		KK: "«%s» квантилі; p25 орнына p1-ден p99-ға дейін сұрауға болады.", RU: "Квантиль «%s»; вместо p25 можно спросить от p1 до p99.",
		EN: "A quantile of “%s”; p25 stands for p1 to p99.",
	}
	wordMean = gateway.Text{
		KK: "«%s» орташасы: жарияланған қосынды мен жарияланған балалар санынан.", RU: "Среднее «%s»: из опубликованной суммы и опубликованного числа детей.",
		EN: "The mean of “%s”: of the published sum and the published number of children.",
	}
	wordShare = gateway.Text{
		KK: "«%s» бойынша үлес: жарияланған сан жоғарғы деңгейдегі ұяшықтың жарияланған санына бөлінеді.",
		RU: "Доля по «%s»: опубликованное число к опубликованному числу той же ячейки уровнем выше.",
		EN: "The share by “%s”: the published count over that of the same cell one level up.",
	}
	wordJaccard = gateway.Text{
		KK: "Екі сектордың қиылысуы: екеуі де көрген балалар кем дегенде біреуі көргендерге.",
		RU: "Пересечение двух секторов: дети, которых видели оба, к тем, кого видел хотя бы один.",
		EN: "The overlap of two sectors: the children whom both have seen over those whom either has.",
	}
	wordOmitted = gateway.Text{
		KK: "жарияланбайды: қалғандарынан есептеледі", RU: "не публикуется: выводится из остальных", EN: "not published: it follows from the others",
	}
	wordNoThrough = gateway.Text{KK: "үзіліссіз есеп жоқ", RU: "нет непрерывной отчётности", EN: "nothing without a gap"}
	wordUntold    = gateway.Text{KK: "айтылмайды", RU: "не сообщается", EN: "not told"}
)

var wordKinds = map[gateway.DimensionKind]gateway.Text{
	gateway.Partition: {
		KK: "Әр бала әр деңгейде дәл бір кодқа жатады.", RU: "Каждый ребёнок относится ровно к одному коду уровня.",
		EN: "Each child is in exactly one code of a level.",
	},
	gateway.Multi: {
		KK: "Бала бірнеше кодқа жатуы мүмкін, сондықтан олардың қосындысы жалпы сан емес.", RU: "Ребёнок может относиться к нескольким кодам, поэтому их сумма — не итог.",
		EN: "A child may be in several codes, so they do not add up to the total.",
	},
}

var wordSources = map[gateway.SourceKind]gateway.Text{
	gateway.EventSector:     {KK: "Оқиғаны хабарлаған сектор.", RU: "Сектор, сообщивший о событии.", EN: "The sector that reported the event."},
	gateway.EventColumn:     {KK: "Оқиға жазбасындағы код.", RU: "Код в записи о событии.", EN: "A code in the record of the event."},
	gateway.EventSectorCode: {KK: "Сектордың өз тізіміндегі код.", RU: "Код из собственного списка сектора.", EN: "A code of the sector's own list."},
	gateway.EventQuarter:    {KK: "Оқиға болған тоқсан.", RU: "Квартал события.", EN: "The quarter of the event."},
	gateway.EventYear:       {KK: "Оқиға болған жыл.", RU: "Год события.", EN: "The year of the event."},
	gateway.ChildConst:      {KK: "Баланың барлық жазбаларында бірдей белгі.", RU: "Признак, одинаковый во всех записях ребёнка.", EN: "An attribute that is the same in all records of the child."},
	gateway.ChildFirst: {
		KK: "Баланың кезеңдегі алғашқы оқиғасындағы белгі.", RU: "Признак при первом событии ребёнка в периоде.",
		EN: "The attribute at the child's first event of the window.",
	},
	gateway.ChildMost: {
		KK: "Секторлардың көпшілігі атаған код; тең болса, ең ерте жазбаныкі.", RU: "Код, названный большинством секторов; при равенстве — из самой ранней записи.",
		EN: "The code that most sectors name; of ties the earliest record's.",
	},
	gateway.FirstSector: {KK: "Баланы бірінші көрген сектор.", RU: "Сектор, первым увидевший ребёнка.", EN: "The sector that saw the child first."},
	gateway.SectorCount: {KK: "Баланы қанша сектор көрді.", RU: "Сколько секторов видели ребёнка.", EN: "How many sectors have seen the child."},
	gateway.SectorPair:  {KK: "Баланы екі сектор да көрді.", RU: "Ребёнка видели оба сектора.", EN: "Both sectors have seen the child."},
	gateway.ChildOutcome: {
		KK: "Алғашқы белгіден кейін балаға не болды: жолдар мен олардың кезеңдері бойынша.", RU: "Что стало с ребёнком после первого сигнала: по путям и их этапам.",
		EN: "What became of a child after the first sign: on some paths, by their steps.",
	},
	gateway.ReachedIn: {
		KK: "Баланың алғашқы оқиғасы (%s), одан кейін %[3]d күн ішінде оқиға (%[2]s) болды ма. Хабарлар толық болмаса — анықтау мүмкін емес.",
		RU: "Первое событие ребёнка (%s) и наступило ли в течение %[3]d дней после него событие (%[2]s). Где отчётность неполна — нельзя определить.",
		EN: "The child's first event (%s), and whether an event (%s) followed within %d days. Where reports are not complete: cannot tell.",
	},
}

var wordReported = map[gateway.ReportedBand]gateway.Text{
	"":                   {KK: "күтілмейді", RU: "не ожидается", EN: "not expected"},
	gateway.ReportedAll:  {KK: "толық", RU: "полностью", EN: "complete"},
	gateway.ReportedMost: {KK: "90 % және одан көп", RU: "90 % и более", EN: "90 % or more"},
	gateway.ReportedHalf: {KK: "50–90 %", RU: "50–90 %", EN: "50–90 %"},
	gateway.ReportedLess: {KK: "50 %-дан аз", RU: "менее 50 %", EN: "less than 50 %"},
	gateway.ReportedNone: {KK: "жоқ", RU: "нет", EN: "none"},
}

var wordTimely = map[gateway.TimelyBand]gateway.Text{
	"":               {KK: "белгісіз", RU: "неизвестно", EN: "not known"},
	gateway.Within15: {KK: "15 күнге дейін", RU: "до 15 дней", EN: "within 15 days"},
	gateway.Within30: {KK: "16–30 күн", RU: "16–30 дней", EN: "16–30 days"},
	gateway.Within90: {KK: "31–90 күн", RU: "31–90 дней", EN: "31–90 days"},
	gateway.Over90:   {KK: "90 күннен артық", RU: "более 90 дней", EN: "more than 90 days"},
}

var (
	wordHidden = gateway.Text{
		KK: "Жасырылған ұяшық аз, нөл немесе үлкенірек топтың дерлік бәрі; қайсысы екені ешқашан айтылмайды.",
		RU: "Скрытая ячейка мала, равна нулю или почти совпадает с большей группой; что именно — никогда не сообщается.",
		EN: "A suppressed cell is small, zero, or nearly all of a larger group; which of these is never told.",
	}
	wordNoise = gateway.Text{
		KK: "Әр жарияланған санға дисперсиясы %g болатын шу қосылып, 5-ке дейін дөңгелектеледі; %d-нан аз бала ешқашан көрсетілмейді.",
		RU: "К каждому опубликованному числу добавлен шум с дисперсией %g, числа округлены до 5; менее %d детей не показывается никогда.",
		EN: "Every published count has noise of variance %g and is a multiple of 5; fewer than %d children are never shown.",
	}
	wordPublic = gateway.Text{
		KK: "Сандарға құпиялылық бюджетінен шу қосылған; байланыстыру сапасы жарияланбайды.",
		RU: "К числам добавлен шум из бюджета приватности; качество связывания не публикуется.",
		EN: "Counts have noise out of a privacy budget; how records link is not published.",
	}
	wordSiblings = gateway.Text{
		KK: "Аға-іні, апа-сіңлілер топ ретінде қорғалмайды.", RU: "Братья и сёстры как группа не защищены.",
		EN: "Brothers and sisters are not protected as a group.",
	}
	wordExpected = gateway.Text{
		KK: "Толықтық — күтілген тоқсандық пакеттердің қабылданған бөлігі; уақтылық — пакеттердің жартысы кезең аяқталғаннан кейін қанша күнде қабылданғаны.",
		RU: "Полнота — принятая доля ожидаемых квартальных пакетов; своевременность — за сколько дней после конца периода принята половина пакетов.",
		EN: "Completeness is what was accepted of the quarterly batches that are expected; timeliness is how many days after the end of the period half of the batches were accepted.",
	}
	wordLinkable = gateway.Text{
		KK: "Байланыстыру үлестері — жазбалардан, 10 %%-дық аралықтармен, кемінде %d бала туралы хабарлаған ұйымдар үшін. Тек аты бойынша белгілі бала нөмірімен белгілі баламен қосылмайды.",
		RU: "Доли связывания — от записей, интервалами по 10 %%, для ведомств, сообщивших не менее чем о %d детях. Ребёнок, известный по имени, не соединяется с известным по номеру.",
		EN: "Shares of linkage are of records, in bands of 10 %%, for agencies that reported %d children or more. A child who is known by name only never meets one who is known by number.",
	}
	wordCannotTell = gateway.Text{
		KK: "Сектор есеп бермеген жерде «қамтылмады» деп айтуға болмайды: ол «анықтау мүмкін емес».",
		RU: "Где сектор не отчитался, нельзя сказать «не охвачен»: это «нельзя определить».",
		EN: "Where a sector has not reported, nobody is “not reached”: it cannot be told.",
	}
)
