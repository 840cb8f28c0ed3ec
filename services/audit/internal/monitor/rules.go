package monitor

import (
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// The names of the rules.
const (
	ForeignDenials     = "foreign-denials"
	MassExport         = "mass-export"
	SelfApproval       = "self-approval"
	VerificationFailed = "verification-failed"
	PublicationLag     = "publication-lag"
	StuckRequest       = "stuck-request"
	LedgerReplay       = "ledger-replay"
	BreakGlass         = "break-glass"
	LogGap             = "log-gap"
	ClockSkew          = "clock-skew"
	KeyAfterShred      = "key-after-shred"
	RateLimitStorm     = "rate-limit-storm"
)

var (
	denied   = []audit.Outcome{audit.OutcomeDenied}
	failed   = []audit.Outcome{audit.OutcomeFailed}
	done     = []audit.Outcome{audit.OutcomeOK}
	calmDay  = 24 * time.Hour
	calm     = time.Hour
	exported = &Statistic{Days: 30, Sigmas: 3, Floor: 25}
)

// Rules are the twelve rules of logging duty L.5. Their order is that of the runbook deploy/runbooks/alerts.md.
func Rules() []Rule { return append(accessRules(), append(logRules(), workRules()...)...) }

// accessRules are about who does what with people's data.
func accessRules() []Rule {
	return []Rule{
		{Name: ForeignDenials, Severity: Warning, By: ByActor, Over: 5, Within: time.Minute, Quiet: calm,
			When: []Match{{Outcomes: denied, Reasons: []string{"CONTROLLER_NOT_REACHED"}}},
			Summary: Text{
				"{who} har inden for et minut mere end fem gange prøvet at nå en dataansvarlig, som adgangsbeviset ikke gælder for. Find ud af, hvem det er, og spær adgangsbeviset, hvis det ikke kan forklares.",
				"Within a minute {who} has tried more than five times to reach a controller that their token is not for. Find out who it is, and block the token unless it can be explained."}},
		{Name: MassExport, Severity: Warning, By: ByController, Statistic: exported, Quiet: calmDay,
			When: []Match{{Outcomes: done, Actions: []string{"export.download", "evidence.download"}}},
			Summary: Text{
				"Der er i dag udleveret langt flere data end normalt. Se, hvem der har bestilt og hentet udtræk, og stands dem, hvis det ikke er aftalt.",
				"Far more data than usual were handed out today. See who asked for and fetched exports, and stop them unless it was agreed."}},
		{Name: SelfApproval, Severity: Warning, By: ByActor, Quiet: calm,
			When: []Match{{Outcomes: denied, Reasons: []string{"OWN_REQUEST"}}},
			Summary: Text{
				"{who} har prøvet at godkende sin egen anmodning. Det blev afvist. Forklar reglen om to personer, eller undersøg, hvorfor det blev prøvet.",
				"{who} has tried to approve a request of their own. It was refused. Explain the rule of two persons, or find out why it was tried."}},
		{Name: BreakGlass, Severity: Warning, By: ByController, Quiet: calm,
			When: []Match{{Actions: []string{"maintenance.move"}}, {Actions: []string{"key.destroy"}, Detail: map[string]string{"scope": "CONTROLLER"}}},
			Summary: Text{
				"Driften har brugt et af de indgreb, der går uden om den almindelige adgang. Kontrollér, at det var planlagt og er noteret.",
				"Operations used one of the verbs that go past ordinary access. Check that it was planned and is noted."}},
		{Name: KeyAfterShred, Severity: Critical, By: ByController, Quiet: calm,
			When: []Match{{Actions: []string{"roster.import", "roster.confirm"}, Detail: map[string]string{"erasedBefore": ""}}},
			Summary: Text{
				"Der er kommet oplysninger om en person, som er slettet og hvis nøgle er væk. Find ud af, hvilket system der stadig kender personen, og slet der.",
				"Somebody came in again who was erased and whose key is gone. Find out which system still knows the person, and erase there."}},
		{Name: RateLimitStorm, Severity: Warning, By: ByActor, Quiet: calm,
			When: []Match{{Actions: []string{"rate_limit.storm"}}},
			Summary: Text{
				"{who} kalder så ofte, at mange kald afvises. Tal med den, der driver klienten, eller spær adgangsbeviset.",
				"{who} calls so often that many calls are refused. Talk to whoever runs the client, or block the token."}},
	}
}

// logRules are about the log itself.
func logRules() []Rule {
	return []Rule{
		{Name: VerificationFailed, Severity: Critical, By: ByController, Quiet: calm,
			When: []Match{{Outcomes: failed, Actions: []string{"audit.verify", "audit.witness"}}},
			Summary: Text{
				"En kontrol af loggen er slået fejl, eller et vidne har afvist den. Rør intet, tag en kopi af log og database, og følg driftsvejledningen.",
				"A check of the log failed, or a witness refused it. Touch nothing, keep a copy of log and database, and follow the runbook."}},
		{Name: PublicationLag, Severity: Warning, By: Together, Quiet: calm,
			When: []Match{{Actions: []string{SignalLag}}},
			Summary: Text{
				"Hændelser har ventet mere end 30 sekunder på at komme i loggen. Se, om loggens disk er fuld eller langsom.",
				"Events have waited for more than 30 seconds to be published in the log. See whether the log's disk is full or slow."}},
		{Name: LogGap, Severity: Critical, By: ByService, Quiet: calm,
			When: []Match{{Actions: []string{SignalGap, SignalSilent, SignalLate}}},
			Summary: Text{
				"Loggen har et hul: et nummer mangler, eller tjenesten {who} har i lang tid ikke afleveret sine hændelser. Se tjenestens egen log.",
				"The log has a gap: a number is missing, or the service {who} has not handed its events over for long. See the service's own log."}},
		{Name: ClockSkew, Severity: Warning, By: ByService, Quiet: calm,
			When: []Match{{Actions: []string{SignalSkew}}},
			Summary: Text{
				"Uret hos tjenesten {who} går mere end et minut forkert. Ret maskinens tidssynkronisering.",
				"The clock of the service {who} is wrong by more than a minute. Repair the machine's time synchronisation."}},
	}
}

// workRules are about work that does not go as promised.
func workRules() []Rule {
	return []Rule{
		{Name: StuckRequest, Severity: Warning, By: ByController, Quiet: calmDay,
			When: []Match{
				{Actions: []string{"erasure.overdue", "export.overdue"}},
				{Actions: []string{"export.fail"}, Reasons: []string{"OUT_OF_TIME", "INCOMPLETE"}},
			},
			Summary: Text{
				"En anmodning om sletning eller indsigt er ikke færdig inden fristen. Se, hvad den venter på, og giv den registrerede besked (databeskyttelsesforordningens artikel 12, stk. 3).",
				"A request for erasure or access is not finished within its time. See what it waits for, and tell the data subject (GDPR art. 12(3))."}},
		{Name: LedgerReplay, Severity: Warning, By: Together, Quiet: calm,
			When: []Match{{Actions: []string{"ledger.replay"}}},
			Summary: Text{
				"En sikkerhedskopi er lagt tilbage, og senere sletninger er udført igen. Kontrollér, at det var meningen, og at alle sletninger er med.",
				"A backup was restored, and later erasures were carried out again. Check that it was meant, and that every erasure is among them."}},
	}
}
