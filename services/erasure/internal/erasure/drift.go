package erasure

// driftRows and driftShare say how much may be added between approval and start before the approval is void: a pupil who logs
// in once more is not another plan, a pupil with twice the data is.
const (
	driftRows  = 10
	driftShare = 10 // per cent
)

// Drift says why a new look voids an approved plan; empty where it does not. Of a system that did not answer the new look holds
// what was planned: it is asked again when it erases, and refuses by itself if its data map has changed.
func Drift(approved, now Plan) string {
	answered := map[string]bool{}
	for _, s := range now.Systems {
		answered[s.System] = true
		old, ok := approved.system(s.System)
		switch {
		case !ok:
			return "SYSTEM_ADDED"
		case old.DataMapDigest != s.DataMapDigest:
			return "DATA_MAP_CHANGED"
		}
	}
	var before, after int64
	for _, i := range now.Items {
		old, ok := approved.item(i.System, i.Dataset)
		if !ok || old.Action != i.Action {
			return "ACTION_CHANGED"
		}
		if i.Action != Keep {
			after += i.Count
		}
	}
	for _, i := range approved.Items {
		if i.Action != Keep && answered[i.System] {
			before += i.Count
		}
	}
	if added := after - before; added > driftRows && added*100 > before*driftShare {
		return "MORE_DATA"
	}
	return ""
}
