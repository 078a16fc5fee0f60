"""FHIR R4 search, from a query's pairs to a Bundle's bytes, without HTTP and without parsing a stored resource.

registry     which parameters each type has          paths, index   what of a resource is found by them
parse        pairs → SearchRequest (request)          values, dates, text, terms   how values are read
filter       _filter, as a tree; filter_conditions   what it means       words, coded   full text; codes of value sets
sql          conditions → SQL, any SearchTable        generic        the SearchTable of storage.tables
pages        SearchRequest → the SQL of one page
execute      page, includes, total, cursors           bundle         rows → Bundle
"""
