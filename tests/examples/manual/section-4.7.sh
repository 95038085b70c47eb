curl -sS -b ./track_cookie "https://track.safectory.com/api/beacons" | jq -r '.. | objects |
select(.major == 4242 and .minor == 2) | .id'
curl -b ./track_cookie -X PUT \
-H 'Accept: */*' -H 'Content-Type: application/json' \
--data '{"id":794524643,"name":"quickstart-guide-beacon-2","attributes":{},
"deviceId":794524642,"uuid":"d87b32bdcc0e437a81b3383833bc5ff8","major":4242,
"roleGroupId":794314697,"minor":2,"lastSeen":"2025-02-21T12:04:24.093+00:00",
"batteryLevel":100.0,"relative":false,"latitude":49.897644460986925,
"longitude":10.878723934292793}' \
'https://track.safectory.com/api/beacons/794524643'
