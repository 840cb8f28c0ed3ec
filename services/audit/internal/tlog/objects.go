package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/privacyops/privacyops/libs/keyring"
)

// objects are those of a bucket whose keys begin with a prefix. Keys are without it here.
//
// Tessera could put a prefix before its keys itself, and then looks for an object that it finds in place under a doubled one: after a
// crash between the tiles and the database it would never integrate a leaf again. So it is told of none, and the prefix is added to
// what goes to the server.
type objects struct {
	where  bucket
	config aws.Config
	client *s3.Client
	http   *http.Client
}

const (
	objectTimeout = 20 * time.Second // of one request
	defaultRegion = "us-east-1"
)

func newObjects(s Shared) (*objects, error) {
	where, err := s.bucket()
	if err != nil {
		return nil, err
	}
	if _, err := readAccessKey(s.KeyFile); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	if transport.TLSClientConfig, err = s.tls(where.host); err != nil {
		return nil, err
	}
	o := &objects{where: where, http: &http.Client{Transport: transport, Timeout: objectTimeout}}
	o.config = aws.Config{Region: s.Region, HTTPClient: o.http, RetryMaxAttempts: 3,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return readAccessKey(s.KeyFile) })}
	if o.config.Region == "" {
		o.config.Region = defaultRegion
	}
	o.client = s3.NewFromConfig(o.config, o.options)
	return o, nil
}

// readAccessKey reads the id and the secret of an access key. It does for every request, so that a changed key needs no restart.
func readAccessKey(file string) (aws.Credentials, error) {
	text, err := keyring.ReadSecret(file)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("tlog: the access key of the bucket: %w", err)
	}
	words := strings.Fields(text)
	if len(words) != 2 {
		return aws.Credentials{}, errors.New("tlog: the file of the access key holds its id and its secret, on a line each")
	}
	return aws.Credentials{AccessKeyID: words[0], SecretAccessKey: words[1]}, nil
}

// options are those of every client of the bucket, Tessera's included.
func (o *objects) options(opts *s3.Options) {
	opts.BaseEndpoint, opts.UsePathStyle = aws.String(o.where.endpoint), true
	// Servers other than Amazon's do not all know checksums that trail a body.
	opts.RequestChecksumCalculation, opts.ResponseChecksumValidation = aws.RequestChecksumCalculationWhenRequired, aws.ResponseChecksumValidationWhenRequired
	opts.APIOptions = append(opts.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("prefix", o.prefixed), middleware.Before)
	})
}

// prefixed puts the prefix before the keys of a request. Those that are deleted come from a list, which has it already. An empty list
// is not sent: servers refuse it, and Tessera, which makes one where a bundle was never partial, would tidy no further.
func (o *objects) prefixed(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	switch p := in.Parameters.(type) {
	case *s3.GetObjectInput:
		with := *p
		with.Key = o.key(p.Key)
		in.Parameters = &with
	case *s3.PutObjectInput:
		with := *p
		with.Key = o.key(p.Key)
		in.Parameters = &with
	case *s3.ListObjectsV2Input:
		with := *p
		with.Prefix = o.key(p.Prefix)
		in.Parameters = &with
	case *s3.DeleteObjectsInput:
		if len(p.Delete.Objects) == 0 {
			return middleware.InitializeOutput{Result: &s3.DeleteObjectsOutput{}}, middleware.Metadata{}, nil
		}
	}
	return next.HandleInitialize(ctx, in)
}

func (o *objects) key(name *string) *string {
	if o.where.prefix == "" {
		return name
	}
	return aws.String(o.where.prefix + "/" + aws.ToString(name))
}

// get reads an object; fs.ErrNotExist: there is none.
func (o *objects) get(ctx context.Context, name string) ([]byte, error) {
	out, err := o.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &o.where.name, Key: &name})
	if missing := (*types.NoSuchKey)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("tlog: %s is not in the bucket: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("tlog: reading %s from the bucket: %w", name, err)
	}
	defer out.Body.Close()
	content, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, fmt.Errorf("tlog: reading %s from the bucket: %w", name, err)
	}
	return content, nil
}

// put replaces an object.
func (o *objects) put(ctx context.Context, name string, content []byte) error {
	_, err := o.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &o.where.name, Key: &name, Body: bytes.NewReader(content)})
	if err != nil {
		return fmt.Errorf("tlog: writing %s to the bucket: %w", name, err)
	}
	return nil
}

// empty deletes all objects.
func (o *objects) empty(ctx context.Context) error {
	pages := s3.NewListObjectsV2Paginator(o.client, &s3.ListObjectsV2Input{Bucket: &o.where.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("tlog: listing the bucket: %w", err)
		}
		gone := types.Delete{Quiet: aws.Bool(true)}
		for _, found := range page.Contents {
			gone.Objects = append(gone.Objects, types.ObjectIdentifier{Key: found.Key})
		}
		out, err := o.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &o.where.name, Delete: &gone})
		if err == nil && len(out.Errors) > 0 {
			err = fmt.Errorf("%d objects stay, the first because of %s", len(out.Errors), aws.ToString(out.Errors[0].Code))
		}
		if err != nil {
			return fmt.Errorf("tlog: emptying the bucket: %w", err)
		}
	}
	return nil
}

// ReadCheckpoint implements reader.
func (o *objects) ReadCheckpoint(ctx context.Context) ([]byte, error) {
	return o.get(ctx, layout.CheckpointPath)
}

// ReadTile implements reader.
func (o *objects) ReadTile(ctx context.Context, level, index uint64, p uint8) ([]byte, error) {
	content, err := o.get(ctx, layout.TilePath(level, index, p))
	if p > 0 && errors.Is(err, fs.ErrNotExist) {
		return o.get(ctx, layout.TilePath(level, index, 0))
	}
	return content, err
}

// ReadEntryBundle implements reader.
func (o *objects) ReadEntryBundle(ctx context.Context, index uint64, p uint8) ([]byte, error) {
	content, err := o.get(ctx, layout.EntriesPath(index, p))
	if p > 0 && errors.Is(err, fs.ErrNotExist) {
		return o.get(ctx, layout.EntriesPath(index, 0))
	}
	return content, err
}
