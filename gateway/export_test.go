package gateway

// PageRoutes shows the gateway's own pages to its tests.
var PageRoutes = pageRoutes

// WatchRedis shows to its tests how the gateway notes that Redis is away.
var WatchRedis = watchRedis
