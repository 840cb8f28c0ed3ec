package consent

import "github.com/privacyops/privacyops/libs/redis"

// Around puts something around what a service knows of the newest revisions.
func (c *Config) Around(fn func(redis.Revisions) redis.Revisions) { c.around = fn }
