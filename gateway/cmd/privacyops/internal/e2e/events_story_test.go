package e2e

// told is one call of the story: an RPC with a request that is right where the story has come to.
type told struct {
	rpc  string
	body string // the request's JSON; {c} is the controller, {word} the name of something that an earlier call has made
	keep string // the word under which the answer's name is kept
	more string // the school year of an extract that follows the first message of a stream
	// down says that the platform is away meanwhile, so that what was begun goes on for a while.
	down bool
	// wait is a state in which the kept resource has to be before the story goes on.
	wait string
}

const (
	pupilJSON   = `"subject":{"type":"UNILOGIN","value":"{pupil}"}`
	siblingJSON = `"subject":{"type":"UNILOGIN","value":"{sibling}"}`
)

// story calls every RPC that makes an event, each at a time when it can be done. Each is also called by somebody who may not, and
// with a request that is not valid.
var story = []told{
	{rpc: "consent.v1.Register/CreateController", body: `{"controllerId":"{new}","controller":{"displayName":"X","jurisdiction":"DK"}}`},
	{rpc: "consent.v1.Register/GetController", body: `{"name":"{c}"}`},
	{rpc: "consent.v1.Register/UpdateController", body: `{"controller":{"name":"{c}","displayName":"Y"},"updateMask":"displayName"}`},
	{rpc: "consent.v1.Register/CreateSystem", body: `{"parent":"{c}","systemId":"paper","system":{"displayName":"X","participant":"x"}}`, keep: "system"},
	{rpc: "consent.v1.Register/GetSystem", body: `{"name":"{system}"}`},
	{rpc: "consent.v1.Register/ListSystems", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.Register/UpdateSystem", body: `{"system":{"name":"{system}","displayName":"Y"},"updateMask":"displayName"}`},
	{rpc: "consent.v1.Register/CreateActivity", body: `{"parent":"{c}","activityId":"trip","activity":{"purpose":"X","legalBasis":"CONSENT",
		"dataCategories":["photos"],"subjectCategories":["pupils"]}}`, keep: "activity"},
	{rpc: "consent.v1.Register/GetActivity", body: `{"name":"{activity}"}`},
	{rpc: "consent.v1.Register/ListActivities", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.Register/UpdateActivity", body: `{"activity":{"name":"{activity}","purpose":"Y"},"updateMask":"purpose"}`},
	{rpc: "consent.v1.LegalBasis/WatchLegalBasis", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.LegalBasis/CheckLegalBasis", body: `{"parent":"{c}",` + pupilJSON + `,"activity":"teaching"}`},
	{rpc: "consent.v1.LegalBasis/BatchCheckLegalBasis", body: `{"parent":"{c}","checks":[{"parent":"{c}",` + pupilJSON + `,"activity":"teaching"}]}`},
	{rpc: "consent.v1.Consents/GiveConsent", body: `{"parent":"{c}",` + pupilJSON + `,"activity":"trip","givenBy":{"capacity":"GUARDIAN"}}`, keep: "consent"},
	{rpc: "consent.v1.Consents/GetReceipt", body: `{"name":"{consent}"}`},
	{rpc: "consent.v1.Consents/SearchConsents", body: `{"parent":"{c}",` + pupilJSON + `}`},
	{rpc: "consent.v1.Consents/WithdrawConsent", body: `{"name":"{consent}"}`},
	{rpc: "consent.v1.Consents/GiveConsent", body: `{"parent":"{c}",` + pupilJSON + `,"activity":"trip","givenBy":{"capacity":"GUARDIAN"}}`, keep: "consent"},
	{rpc: "consent.v1.Consents/WithdrawConsentOf", body: `{"parent":"{c}",` + pupilJSON + `,"activity":"trip"}`},
	{rpc: "consent.v1.Consents/LinkSubjects", body: `{"parent":"{c}","subjects":[{"type":"UNILOGIN","value":"{pupil}"},{"type":"EMAIL","value":"x@example.org"}]}`},
	{rpc: "consent.v1.Register/ArchiveActivity", body: `{"name":"{activity}"}`},
	{rpc: "consent.v1.Rights/CreateObjection", body: `{"parent":"{c}",` + pupilJSON + `,"activity":"teaching"}`, keep: "objection"},
	{rpc: "consent.v1.Rights/GetObjection", body: `{"name":"{objection}"}`},
	{rpc: "consent.v1.Rights/ListObjections", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.Rights/ResolveObjection", body: `{"name":"{objection}","outcome":"UPHELD","reason":"x"}`},
	{rpc: "consent.v1.Rights/CreateRestriction", body: `{"parent":"{c}",` + siblingJSON + `,"ground":"LEGAL_CLAIMS"}`, keep: "restriction"},
	{rpc: "consent.v1.Rights/GetRestriction", body: `{"name":"{restriction}"}`},
	{rpc: "consent.v1.Rights/ListRestrictions", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.Rights/LiftRestriction", body: `{"name":"{restriction}"}`},
	{rpc: "consent.v1.Documents/GetNotice", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.Documents/GetRecordOfProcessing", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.Documents/GetImpactAssessmentInput", body: `{"parent":"{c}"}`},
	{rpc: "consent.v1.Erased/RecordErasure", body: `{"parent":"{c}","subjectRefs":["sub_0000000000000000000000000000000000000000"],
		"erasure":"{c}/erasures/01890000-0000-7000-8000-000000000000","eraseTime":"2026-01-01T00:00:00Z"}`},
	{rpc: "export.v1.Exports/CreateExport", body: `{"parent":"{c}",` + siblingJSON + `,"kind":"ACCESS"}`, keep: "export", wait: "READY"},
	{rpc: "export.v1.Exports/GetExport", body: `{"name":"{export}"}`},
	{rpc: "export.v1.Exports/ListExports", body: `{"parent":"{c}"}`},
	{rpc: "export.v1.Exports/WatchExport", body: `{"name":"{export}"}`},
	{rpc: "export.v1.Exports/ReadPackage", body: `{"name":"{export}"}`},
	{rpc: "export.v1.Exports/CreateExport", body: `{"parent":"{c}",` + siblingJSON + `,"kind":"ACCESS"}`, keep: "export", down: true},
	{rpc: "export.v1.Exports/CancelExport", body: `{"name":"{export}"}`, down: true},
	{rpc: "erasure.v1.Erasures/PreviewErasure", body: `{"parent":"{c}",` + pupilJSON + `,"ground":"UNLAWFUL"}`},
	{rpc: "erasure.v1.Erasures/CreateErasure", body: `{"parent":"{c}",` + pupilJSON + `,"ground":"UNLAWFUL"}`, keep: "first", wait: "AWAITING_APPROVAL"},
	{rpc: "erasure.v1.Erasures/GetErasure", body: `{"name":"{first}"}`},
	{rpc: "erasure.v1.Erasures/ListErasures", body: `{"parent":"{c}"}`},
	{rpc: "erasure.v1.Erasures/RejectErasure", body: `{"name":"{first}","reason":"x"}`},
	{rpc: "erasure.v1.Erasures/CreateErasure", body: `{"parent":"{c}",` + pupilJSON + `,"ground":"UNLAWFUL"}`, keep: "second", wait: "AWAITING_APPROVAL"},
	{rpc: "erasure.v1.Erasures/CancelErasure", body: `{"name":"{second}","reason":"x"}`},
	{rpc: "erasure.v1.Erasures/CreateErasure", body: `{"parent":"{c}",` + pupilJSON + `,"ground":"UNLAWFUL"}`, keep: "third", wait: "AWAITING_APPROVAL"},
	{rpc: "erasure.v1.Erasures/WatchErasure", body: `{"name":"{third}"}`},
	{rpc: "erasure.v1.Erasures/ApproveErasure", body: `{"name":"{third}","planHash":"{planHash}"}`, keep: "third", wait: "COMPLETED"},
	{rpc: "erasure.v1.Erasures/GetCertificate", body: `{"name":"{third}"}`},
	{rpc: "erasure.v1.Rosters/ImportRoster", body: `{"header":{"parent":"{c}","format":"UNILOGIN_WSIEKSPORT"}}`, more: "2027-2028", keep: "roster"},
	{rpc: "erasure.v1.Rosters/GetRoster", body: `{"name":"{roster}"}`},
	{rpc: "erasure.v1.Rosters/ConfirmRoster", body: `{"name":"{roster}"}`},
	{rpc: "erasure.v1.Rosters/ImportRoster", body: `{"header":{"parent":"{c}","format":"UNILOGIN_WSIEKSPORT"}}`, more: "2028-2029", keep: "roster"},
	{rpc: "erasure.v1.Rosters/DiscardRoster", body: `{"name":"{roster}"}`},
	{rpc: "audit.v1.AuditLog/SearchAuditEvents", body: `{"parent":"{c}","pageSize":1}`},
	{rpc: "audit.v1.AuditLog/GetAuditEventProof", body: `{"name":"{event}"}`},
	{rpc: "audit.v1.AuditMonitoring/ListAlerts", body: `{"parent":"{c}"}`},
	{rpc: "audit.v1.AuditMonitoring/AcknowledgeAlert", body: `{"name":"{alert}"}`},
	{rpc: "audit.v1.AuditMonitoring/ListSuiteAlerts", body: `{}`},
	{rpc: "audit.v1.AuditMonitoring/AcknowledgeSuiteAlert", body: `{"name":"{suiteAlert}"}`},
	{rpc: "audit.v1.AuditMonitoring/GetLogReport", body: `{"parent":"{c}"}`},
	{rpc: "audit.v1.AuditKeeping/RotateControllerKey", body: `{"parent":"{c}"}`},
	{rpc: "audit.v1.AuditKeeping/ApproveTermination", body: `{"name":"{c}/termination"}`},
	{rpc: "audit.v1.AuditEvidence/CreateEvidence", body: `{"parent":"{c}","startTime":"{start}","endTime":"{end}"}`, keep: "evidence", wait: "READY"},
	{rpc: "audit.v1.AuditEvidence/GetEvidence", body: `{"name":"{evidence}"}`},
	{rpc: "audit.v1.AuditEvidence/ListEvidence", body: `{"parent":"{c}"}`},
	{rpc: "audit.v1.AuditEvidence/ReadEvidencePackage", body: `{"name":"{evidence}"}`},
}
