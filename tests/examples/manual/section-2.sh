curl -s -c ./track_cookies https://track.safectory.com/api/session --data 'email=account@yourdomain.de&password=9ejKJJAYKw3VCWev'
