package gateway

// PageRoutes shows the gateway's own pages to its tests.
var PageRoutes = pageRoutes
