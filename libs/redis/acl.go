package redis

// Permissions is what the suite's user may do, in the form of Redis' access control list: its own keys and channels, and the
// commands that the scripts use. A list for an installation reads
//
//	user default off resetpass -@all
//	user privacyops on #<hex SHA-256 of the password> <Permissions>
const Permissions = "~v1:* &v1:* -@all +ping +auth +hello +select +eval +evalsha +subscribe +unsubscribe +publish " +
	"+get +set +hget +hset +hmget +hincrby +pexpire +exists +time +info " +
	"+xadd +xrange +xinfo|stream +xinfo|groups +xgroup|create +xgroup|destroy +xautoclaim +xreadgroup +xack"
