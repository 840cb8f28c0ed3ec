package problem

import (
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
)

// conflicts are the reasons for which FAILED_PRECONDITION is a conflict with what the caller saw or what others do at the
// same time, so that HTTP has a better word than 400.
var conflicts = map[string]bool{
	"ALREADY_APPROVED":       true,
	"DATA_MAP_CHANGED":       true,
	"ERASURE_IN_PROGRESS":    true,
	"ETAG_MISMATCH":          true,
	"EXPORT_UNDER_ERASURE":   true,
	"PLAN_HASH_MISMATCH":     true,
	"SUBJECT_UNDER_ERASURE":  true,
	"PACKAGE_NOT_READY":      true,
	"IDEMPOTENCY_KEY_REUSED": true,
}

// gone are the reasons for which the resource has reached the end of its time.
var gone = map[string]bool{
	"EXPORT_EXPIRED":    true,
	"PACKAGE_EXPIRED":   true,
	"PACKAGE_WITHDRAWN": true,
}

// statusClientClosed is the customary status for a caller who went away; nobody reads it but the log.
const statusClientClosed = 499

// httpStatus maps a code: as google.rpc.Code documents it, but for the reasons above.
func httpStatus(code codes.Code, reason string) int {
	switch {
	case code == codes.Canceled:
		return statusClientClosed
	case code == codes.FailedPrecondition && gone[reason]:
		return http.StatusGone
	case code == codes.FailedPrecondition && conflicts[reason]:
		return http.StatusConflict
	}
	return runtime.HTTPStatusFromCode(code)
}
