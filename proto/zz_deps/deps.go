// Package deps pins.
package deps
import (
_ "google.golang.org/grpc"
_ "google.golang.org/protobuf/proto"
_ "google.golang.org/genproto/googleapis/api/annotations"
_ "google.golang.org/genproto/googleapis/api/httpbody"
_ "google.golang.org/genproto/googleapis/rpc/errdetails"
_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
_ "github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2/options"
)
